//! What transactions of a node hold and wait for, as one looks at it: each executor tells its part.

use std::rc::Rc;

use aquifer_sql::virtual_tables::locks::{DeadlockRow, LockReport, LockRow, TransactionRow, WaitRow};
use aquifer_txn::LockStrength;
use futures_channel::oneshot;

use crate::homes::{Msg, ReplyTo, Ticket};
use crate::local::{Local, executor_id};

impl Local {
    /// Asks every executor for its part and puts them together.
    pub async fn lock_report(self: &Rc<Self>) -> LockReport {
        let mut answers = Vec::new();
        for index in 0..self.homes().count() {
            let (reply_to, answer) = self.expect_report();
            self.post(executor_id(index), Msg::Report(reply_to));
            answers.push(answer);
        }
        let mut report = LockReport::default();
        for answer in answers {
            // An executor that has ended has nothing to tell.
            let part = answer.await.unwrap_or_default();
            report.transactions.extend(part.transactions);
            report.locks.extend(part.locks);
        }
        report.transactions.sort_by_key(|row| row.id);
        let ranges = self.locked_ranges().into_iter().map(|(owner, start, end)| LockRow {
            transaction: owner.0,
            key: start.to_vec(),
            end: Some(end.to_vec()),
            exclusive: false,
            granted: true,
        });
        report.locks.extend(ranges);
        self.add_waits(&mut report);
        report
    }

    fn add_waits(&self, report: &mut LockReport) {
        let graph = self.homes().waits();
        for wait in graph.waits() {
            report.waits.extend(wait.blockers.iter().map(|blocker| WaitRow {
                requesting: wait.txn.0,
                blocking: blocker.0,
                key: wait.key.clone(),
            }));
        }
        let (count, latest) = graph.latest_deadlock();
        report.deadlocks = count;
        report.latest_deadlock = latest.map(|deadlock| DeadlockRow {
            cycle: deadlock.cycle.into_iter().map(|wait| (wait.txn.0, wait.weight, wait.key)).collect(),
            victim: deadlock.victim.0,
        });
    }

    fn expect_report(&self) -> (ReplyTo, oneshot::Receiver<LockReport>) {
        let reply_to = self.reply_to();
        let (sender, receiver) = oneshot::channel();
        self.report_replies.borrow_mut().insert(reply_to.ticket, sender);
        (reply_to, receiver)
    }

    pub(crate) fn on_report(self: &Rc<Self>, reply_to: ReplyTo) {
        let mut report = LockReport::default();
        for (txn, held) in self.ranges.running().iter() {
            let held = held.borrow();
            report.transactions.push(TransactionRow {
                id: txn.0,
                connection: held.who.connection,
                started_unix_s: held.who.started_unix_s,
                isolation: held.who.isolation,
                locked: held.locked(),
                written: held.written(),
            });
            report.locks.extend(held.spilled().iter().map(|(least, greatest)| LockRow {
                transaction: txn.0,
                key: least.to_vec(),
                end: Some(greatest.to_vec()),
                exclusive: true,
                granted: true,
            }));
        }
        for (key, txn, strength, granted) in self.locks.borrow().iter() {
            report.locks.push(LockRow {
                transaction: txn.0,
                key: key.to_vec(),
                end: None,
                exclusive: strength == LockStrength::Exclusive,
                granted,
            });
        }
        self.post(reply_to.executor, Msg::ReportReply(reply_to.ticket, Box::new(report)));
    }

    pub(crate) fn on_report_reply(&self, ticket: Ticket, report: LockReport) {
        if let Some(sender) = self.report_replies.borrow_mut().remove(&ticket) {
            let _ = sender.send(report);
        }
    }
}
