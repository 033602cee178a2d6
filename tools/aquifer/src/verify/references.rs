//! All objects against each other: what a node that opens any branch would look for must be there.
//!
//! For each branch: the tables of every checkpoint; the links from the newest checkpoint's replay position (or
//! from the first link) to the end, each naming the one before it, and the tables that they add; the place on
//! the parent where it began, as long as it still reads the parent. Older links and the tables that only they
//! name may have been collected.

use std::collections::{BTreeMap, BTreeSet};

use aquifer_format::{
    Checkpoint, ForkRecord, Pin, SstMeta, checkpoint_key, head_key, link_key, pin_key, sst_key,
};
use aquifer_types::{BranchName, LinkSeq, SstId};

use super::objects::{Facts, LinkFacts};

/// What was found.
#[derive(Debug, Default)]
pub struct Report {
    /// What refers to something that is not there, or to something else than what is there.
    pub missing: Vec<String>,
    /// Tables that nothing refers to, with their bytes.
    pub orphans: Vec<(SstId, u64)>,
    /// Tables that only past states name, and that have been collected.
    pub collected: usize,
    /// Links of each branch, and where it ends.
    branches: Vec<String>,
}

impl Report {
    /// The report for people.
    pub fn text(&self, bytes: impl Fn(u64) -> String) -> String {
        let mut text = String::new();
        for branch in &self.branches {
            text += &format!("{branch}\n");
        }
        if self.collected > 0 {
            text += &format!("{} tables of past states have been collected\n", self.collected);
        }
        let size = self.orphans.iter().map(|(_, size)| size).sum();
        text += &format!("{} orphans, {}", self.orphans.len(), bytes(size));
        text += if self.orphans.is_empty() {
            "\n"
        } else {
            ": tables that nothing refers to; a running writer's newest may be among them, collection deletes the \
             others\n"
        };
        text
    }
}

/// Checks all references.
pub fn check(facts: &Facts) -> Report {
    let mut check =
        Check { facts, report: Report::default(), named: BTreeSet::new(), opened: BTreeSet::new() };
    let names: BTreeSet<&BranchName> = facts.links.keys().chain(facts.checkpoints.keys()).collect();
    for name in names {
        check.branch(name);
    }
    for name in facts.heads.keys() {
        check.head(name);
    }
    for (name, pin) in &facts.pins {
        check.pin(name, pin);
    }
    let Check { mut report, named, .. } = check;
    let orphans = facts.tables.iter().filter(|(id, _)| !named.contains(id));
    report.orphans = orphans.map(|(id, bytes)| (*id, *bytes)).collect();
    report
}

struct Check<'a> {
    facts: &'a Facts,
    report: Report,
    named: BTreeSet<SstId>,
    /// States that have been checked: damaged branches may name each other as parents.
    opened: BTreeSet<(BranchName, LinkSeq)>,
}

impl<'a> Check<'a> {
    fn links(&self, name: &BranchName) -> Option<&'a BTreeMap<LinkSeq, LinkFacts>> {
        self.facts.links.get(name)
    }

    fn newest(&self, name: &BranchName, upto: LinkSeq) -> Option<&'a Checkpoint> {
        let checkpoints = self.facts.checkpoints.get(name)?;
        checkpoints.range(..=upto).next_back().map(|(_, checkpoint)| checkpoint)
    }

    fn branch(&mut self, name: &BranchName) {
        let checkpoints = self.facts.checkpoints.get(name);
        for checkpoint in checkpoints.iter().flat_map(|checkpoints| checkpoints.values()) {
            let owner = checkpoint_key("", name, checkpoint.seq);
            checkpoint.ssts.iter().for_each(|meta| self.table(meta, &owner));
        }
        let end = LinkSeq(u64::MAX);
        let newest = self.newest(name, end);
        for (seq, link) in self.links(name).into_iter().flatten() {
            let is_needed = newest.is_none_or(|newest| newest.seq < *seq);
            for meta in link.added() {
                if is_needed {
                    self.table(meta, &link_key("", name, *seq));
                } else if self.named.insert(meta.sst_id()) {
                    self.report.collected += usize::from(!self.facts.tables.contains_key(&meta.sst_id()));
                }
            }
        }
        let last = self.links(name).and_then(|links| links.keys().next_back()).copied().unwrap_or_default();
        self.open(name, last);
        if let Some(newest) = newest.filter(|newest| newest.seq > last) {
            let key = link_key("", name, newest.seq);
            self.report.missing.push(format!("{key}: is missing; there is a checkpoint of it"));
        }
        let count = self.links(name).map_or(0, BTreeMap::len);
        let lsn = self.links(name).and_then(|links| links.get(&last)).map(|link| link.link.header.last_lsn);
        let lsn = lsn.map_or_else(String::new, |lsn| format!(", LSN {lsn}"));
        self.report.branches.push(format!("branch {name}: {count} links, the last is {last}{lsn}"));
    }

    fn table(&mut self, meta: &SstMeta, owner: &str) {
        let id = meta.sst_id();
        let first = self.named.insert(id);
        let key = sst_key("", id);
        match self.facts.tables.get(&id) {
            Some(bytes) if *bytes != meta.object_bytes => self
                .report
                .missing
                .push(format!("{key}: has {bytes} bytes, and {owner} says {}", meta.object_bytes)),
            // A damaged one has been named already.
            None if first && !self.facts.damaged.iter().any(|problem| problem.contains(&key)) => {
                self.report.missing.push(format!("{key}: is missing, and {owner} names it"));
            }
            _ => {}
        }
    }

    /// What a node reads that opens a branch as of a link.
    fn open(&mut self, name: &BranchName, upto: LinkSeq) {
        if !self.opened.insert((name.clone(), upto)) {
            return;
        }
        let checkpoint = self.newest(name, upto);
        let mut from = checkpoint.map_or(LinkSeq(1), |from| from.replay_seq.min(from.seq));
        if let Some(fork) = self.fork_of(name)
            && checkpoint.is_none_or(|checkpoint| checkpoint.checkpoint_lsn < fork.lsn)
        {
            from = LinkSeq(1);
            if self.links(&fork.parent).is_some_and(|links| links.contains_key(&fork.parent_seq)) {
                self.open(&fork.parent, fork.parent_seq);
            } else {
                let key = link_key("", &fork.parent, fork.parent_seq);
                self.report.missing.push(format!("{key}: is missing, and branch {name} begins after it"));
            }
        }
        let mut before: Option<&LinkFacts> = None;
        let mut seq = from;
        while seq <= upto {
            let key = link_key("", name, seq);
            let Some(link) = self.links(name).and_then(|links| links.get(&seq)) else {
                if !self.facts.damaged.iter().any(|problem| problem.contains(&key)) {
                    self.report.missing.push(format!("{key}: is missing; the branch goes on after it"));
                }
                return;
            };
            if let Some(Err(error)) = before.map(|before| link.link.follows(&before.next)) {
                self.report.missing.push(format!("{key}: {error}"));
            }
            let of_checkpoint = checkpoint.filter(|checkpoint| checkpoint.seq == seq);
            if of_checkpoint.is_some_and(|checkpoint| checkpoint.link_digest != link.link.digest) {
                let key = checkpoint_key("", name, seq);
                self.report.missing.push(format!("{key}: does not belong to its link"));
            }
            before = Some(link);
            seq = seq.next();
        }
    }

    fn fork_of(&self, name: &BranchName) -> Option<ForkRecord> {
        let first = self.links(name).and_then(|links| links.get(&LinkSeq(1))).and_then(LinkFacts::fork);
        let known = self.newest(name, LinkSeq(u64::MAX)).and_then(|checkpoint| checkpoint.parent.as_ref());
        first.or(known).cloned()
    }

    /// What a reader opens by a pin: the state as of its link, and the tables that are added on the way there.
    fn pin(&mut self, name: &BranchName, pin: &Pin) {
        let (owner, branch) = (pin_key("", name), &pin.branch);
        if !self.links(branch).is_some_and(|links| links.contains_key(&pin.seq)) {
            let key = link_key("", branch, pin.seq);
            self.report.missing.push(format!("{key}: is missing, and {owner} names it"));
            return;
        }
        let from = self.newest(branch, pin.seq).map_or(LinkSeq(0), |checkpoint| checkpoint.seq);
        for link in self.links(branch).into_iter().flat_map(|links| links.range(from.next()..=pin.seq)) {
            link.1.added().for_each(|meta| self.table(meta, &owner));
        }
        self.open(branch, pin.seq);
    }

    /// A head may be stale, so only what it says of the past is checked.
    fn head(&mut self, name: &BranchName) {
        let Some(head) = self.facts.heads.get(name) else { return };
        let last = self.links(name).and_then(|links| links.keys().next_back()).copied().unwrap_or_default();
        if head.link_seq > last {
            let (key, missing) = (head_key("", name), link_key("", name, last.next()));
            let damaged = self.facts.damaged.iter().any(|problem| problem.contains(&missing));
            if !damaged {
                let text = format!("{missing}: is missing; {key} knows of links up to {}", head.link_seq);
                self.report.missing.push(text);
            }
        }
    }
}
