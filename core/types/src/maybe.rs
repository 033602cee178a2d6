//! A result that is nearly always there already.
//!
//! Reads are answered from memory almost every time; only then must they cost no allocation. `Maybe`
//! holds either the answer or a boxed future, and is itself awaited.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::task::{Context, Poll};

/// A value that is ready, or a future that brings it.
pub enum Maybe<'a, T> {
    /// The answer; awaiting it does not yield.
    Ready(T),
    /// The answer needs I/O or another core.
    Wait(Pin<Box<dyn Future<Output = T> + 'a>>),
}

impl<'a, T> Maybe<'a, T> {
    /// Boxes a future.
    pub fn wait(future: impl Future<Output = T> + 'a) -> Self {
        Self::Wait(Box::pin(future))
    }
}

impl<'a, T: Unpin> IntoFuture for Maybe<'a, T> {
    type Output = T;
    type IntoFuture = MaybeFuture<'a, T>;

    fn into_future(self) -> MaybeFuture<'a, T> {
        MaybeFuture(match self {
            Self::Ready(value) => State::Ready(Some(value)),
            Self::Wait(future) => State::Wait(future),
        })
    }
}

/// What awaiting a [`Maybe`] polls.
pub struct MaybeFuture<'a, T>(State<'a, T>);

enum State<'a, T> {
    Ready(Option<T>),
    Wait(Pin<Box<dyn Future<Output = T> + 'a>>),
}

impl<T: Unpin> Future for MaybeFuture<'_, T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        match &mut self.0 {
            State::Ready(value) => match value.take() {
                Some(value) => Poll::Ready(value),
                None => Poll::Pending,
            },
            State::Wait(future) => future.as_mut().poll(cx),
        }
    }
}
