//! A lane's thread without glommio: jobs take turns, in the order in which they are woken.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use super::{Found, Job, JobWake, LocalFuture, ThreadShared, begin_slice};

/// Wakes the thread itself.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

struct Running {
    future: LocalFuture,
    waker: Waker,
}

/// Runs jobs until the lane is shut down.
pub(super) fn run(shared: &Arc<ThreadShared>, started: &mpsc::Sender<io::Result<()>>) {
    let _ = started.send(Ok(()));
    let unpark = Waker::from(Arc::new(Unpark(thread::current())));
    let mut cx = Context::from_waker(&unpark);
    let mut running: HashMap<u64, Running> = HashMap::new();
    let mut next_id = 0;
    loop {
        match shared.bell.poll_wait(&mut cx, || shared.next()) {
            Poll::Pending => thread::park(),
            Poll::Ready(Found::End) => break,
            Poll::Ready(Found::Woken(id)) => poll_job(shared, &mut running, id),
            Poll::Ready(Found::Job(Job { make, .. })) => {
                next_id += 1;
                let listed = AtomicBool::new(false);
                let wake = JobWake { thread: Arc::clone(shared), id: next_id, listed };
                let job = Running { future: make(), waker: Waker::from(Arc::new(wake)) };
                running.insert(next_id, job);
                poll_job(shared, &mut running, next_id);
            }
        }
    }
    shared.bell.close();
}

fn poll_job(shared: &ThreadShared, running: &mut HashMap<u64, Running>, id: u64) {
    // A job that has ended may still be woken.
    let Some(job) = running.get_mut(&id) else { return };
    begin_slice();
    let ended = job.future.as_mut().poll(&mut Context::from_waker(&job.waker)).is_ready();
    if ended {
        running.remove(&id);
        shared.job_ended();
    }
}
