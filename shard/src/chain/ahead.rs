//! Links ahead of their reader: several requests are under way together, their answers come in the order of the
//! chain. One after the other, every link would cost a round to the store.
//!
//! 1. The next links are asked for together: few at first, because most chains that are opened end soon after
//!    their checkpoint, and more with every link that is there.
//! 2. The first number without a link is the end. What was answered for numbers behind it does not count: a link
//!    there was made after the end was seen.
//! 3. Whoever has to wait for an answer asks `head` at the same time. A link that the head knows of and that is
//!    not there is damage, or was deleted while the reader slept: the end of such a chain is never believed.

use std::future::Future;
use std::pin::Pin;

use aquifer_format::{Link, link_key};
use aquifer_objstore::{Store, StoreError, StoreErrorKind, StoreResult};
use aquifer_types::{BranchName, LinkSeq};
use bytes::Bytes;
use futures_util::future::{FutureExt, join};
use futures_util::stream::{FuturesOrdered, StreamExt};

use super::{ChainState, read_head};
use crate::error::{NodeError, NodeResult};

/// Requests that are under way at first, and at most. A link has up to 8 MiB, rarely more.
const WINDOW_FIRST: usize = 4;
const WINDOW_MAX: usize = 16;
/// By how much the window grows with each link.
const WINDOW_STEP: usize = 2;

type Answers = FuturesOrdered<Pin<Box<dyn Future<Output = StoreResult<Bytes>> + Send>>>;

/// What the head said.
struct HeadSeen {
    newest: Option<LinkSeq>,
    /// The first link that had not been asked for by then.
    asked: LinkSeq,
}

/// See the module.
pub(super) struct LinksAhead<'a> {
    store: &'a Store,
    branch: BranchName,
    /// The link that is given out next.
    at: LinkSeq,
    /// The last one to ask for; it is known to exist.
    upto: Option<LinkSeq>,
    window: usize,
    under_way: Answers,
    head: Option<HeadSeen>,
    /// The answer for `at`, when it was waited for in advance.
    answer: Option<NodeResult<Option<Bytes>>>,
}

impl<'a> LinksAhead<'a> {
    /// Links from `first` on, up to the end of the chain or, inclusive, to a link that must exist.
    pub(super) fn new(store: &'a Store, branch: &BranchName, first: LinkSeq, upto: Option<LinkSeq>) -> Self {
        let (window, under_way) = (WINDOW_FIRST, Answers::new());
        Self { store, branch: branch.clone(), at: first, upto, window, under_way, head: None, answer: None }
    }

    /// Waits for the next link's answer, which is given out later. An error is too.
    pub(super) async fn prefetch(&mut self) {
        if self.answer.is_none() {
            self.answer = Some(self.ask().await);
        }
    }

    /// The next link as an object, without going on.
    ///
    /// # Errors
    /// As [`super::open`].
    pub(super) async fn peek(&mut self) -> NodeResult<Option<Bytes>> {
        self.prefetch().await;
        match self.answer.take() {
            Some(Ok(bytes)) => {
                self.answer = Some(Ok(bytes.clone()));
                Ok(bytes)
            }
            Some(Err(error)) => Err(error),
            None => Ok(None),
        }
    }

    /// The next link as an object; `None` at the end, and then ever after.
    ///
    /// # Errors
    /// As [`super::open`].
    pub(super) async fn next(&mut self) -> NodeResult<Option<Bytes>> {
        let bytes = self.peek().await?;
        if bytes.is_some() {
            self.answer = None;
            self.at = self.at.next();
            self.window = (self.window + WINDOW_STEP).min(WINDOW_MAX);
        }
        Ok(bytes)
    }

    /// The link that follows `state`.
    ///
    /// # Errors
    /// As [`super::open`].
    pub(super) async fn following(&mut self, state: &ChainState) -> NodeResult<Option<Link>> {
        debug_assert_eq!(self.at, state.next.seq, "links are taken in order");
        let key = link_key("", &self.branch, self.at);
        let Some(bytes) = self.next().await? else { return Ok(None) };
        let link = Link::decode(bytes, &key)?;
        link.follows(&state.next).map_err(|error| error.with_object(&key))?;
        Ok(Some(link))
    }

    async fn ask(&mut self) -> NodeResult<Option<Bytes>> {
        self.top_up();
        if self.under_way.is_empty() {
            return Ok(None);
        }
        // Of those that are under way together nearly all are there when the first is.
        let answer = match self.under_way.next().now_or_never().flatten() {
            Some(answer) => answer,
            None => self.wait().await?,
        };
        match if_there(answer)? {
            Some(bytes) => Ok(Some(bytes)),
            None => self.end().await,
        }
    }

    /// Waits for the next answer, and for the head beside it.
    async fn wait(&mut self) -> NodeResult<StoreResult<Bytes>> {
        let asked = LinkSeq(self.at.0 + self.under_way.len() as u64);
        let head = newest_known(self.store, &self.branch, self.upto);
        let (answer, newest) = join(self.under_way.next(), head).await;
        self.head = Some(HeadSeen { newest: newest?, asked });
        Ok(answer.unwrap_or_else(|| Err(StoreError::unavailable("no link was asked for"))))
    }

    /// There is no link at `at`: believed if the head, read after that was asked, does not know of one either.
    async fn end(&mut self) -> NodeResult<Option<Bytes>> {
        let newest = match &self.head {
            Some(seen) if self.at < seen.asked => seen.newest,
            _ => newest_known(self.store, &self.branch, self.upto).await?,
        };
        let Some(newest) = newest.filter(|newest| *newest >= self.at) else { return Ok(None) };
        // It may have been made between the two answers.
        self.under_way = Answers::new();
        let key = link_key("", &self.branch, self.at);
        match if_there(self.store.get(&key).await)? {
            Some(bytes) => Ok(Some(bytes)),
            None => Err(NodeError::corrupt(format!(
                "{key}: is missing; links up to {newest} are known of, the chain ends before it"
            ))),
        }
    }

    fn top_up(&mut self) {
        while self.under_way.len() < self.window {
            let seq = LinkSeq(self.at.0 + self.under_way.len() as u64);
            if self.upto.is_some_and(|upto| seq > upto) {
                return;
            }
            self.under_way.push_back(Box::pin(self.store.get(&link_key("", &self.branch, seq))));
        }
    }
}

/// The newest link that is known to have been made.
async fn newest_known(
    store: &Store,
    branch: &BranchName,
    upto: Option<LinkSeq>,
) -> NodeResult<Option<LinkSeq>> {
    match upto {
        Some(upto) => Ok(Some(upto)),
        None => Ok(read_head(store, branch).await?.map(|head| head.link_seq)),
    }
}

fn if_there(answer: StoreResult<Bytes>) -> NodeResult<Option<Bytes>> {
    match answer {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == StoreErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}
