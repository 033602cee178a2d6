//! Reachability against a model: whatever a node may still open must be there, and nothing else for long.
#![allow(missing_docs, clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::{Duration, SystemTime};

use aquifer_lsm::reachability::{BranchView, CheckpointView, Fork, Root, SLACK, StoreView, StoredTable};
use aquifer_types::{BranchName, LinkSeq, Lsn, SstId};
use proptest::prelude::*;

const HOUR: Duration = Duration::from_secs(3600);
const RETENTION: Duration = Duration::from_secs(24 * 3600);

/// A link of the model: the tables that it adds and removes, and where the branch is after it.
#[derive(Clone, Debug)]
struct ModelLink {
    time: SystemTime,
    added: Vec<SstId>,
    tables: BTreeSet<SstId>,
    last_lsn: Lsn,
    checkpoint_lsn: Lsn,
}

#[derive(Clone, Debug, Default)]
struct ModelBranch {
    links: BTreeMap<u64, ModelLink>,
    checkpoints: BTreeMap<u64, CheckpointView>,
    fork: Option<Fork>,
}

impl ModelBranch {
    /// Tables that links add, both ends inclusive.
    fn added(&self, from: u64, to: u64) -> Vec<SstId> {
        let links = self.links.iter().filter(|(seq, _)| (from..=to).contains(seq));
        links.flat_map(|(_, link)| link.added.iter().copied()).collect()
    }
}

/// A store, as a writer that follows the rules makes it.
struct Model {
    now: SystemTime,
    branches: BTreeMap<BranchName, ModelBranch>,
    tables: BTreeMap<SstId, SystemTime>,
    next_table: u128,
}

#[derive(Clone, Debug)]
enum Action {
    Commit,
    Flush,
    Compact,
    Checkpoint,
    Wait(u64),
    Fork(u8),
    Switch(u8),
    Collect,
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        4 => Just(Action::Commit),
        4 => Just(Action::Flush),
        2 => Just(Action::Compact),
        3 => Just(Action::Checkpoint),
        3 => (1_u64..20).prop_map(Action::Wait),
        1 => any::<u8>().prop_map(Action::Fork),
        1 => any::<u8>().prop_map(Action::Switch),
        2 => Just(Action::Collect),
    ]
}

impl Model {
    fn new() -> Self {
        let mut branches = BTreeMap::new();
        branches.insert(BranchName::main(), ModelBranch::default());
        let now = SystemTime::UNIX_EPOCH + 1000 * HOUR;
        Self { now, branches, tables: BTreeMap::new(), next_table: 1 }
    }

    fn state(&self, name: &BranchName) -> ModelLink {
        let branch = &self.branches[name];
        if let Some((_, link)) = branch.links.last_key_value() {
            return link.clone();
        }
        match &branch.fork {
            Some(fork) => self.branches[&fork.parent].links[&fork.seq.0].clone(),
            None => ModelLink {
                time: self.now,
                added: Vec::new(),
                tables: BTreeSet::new(),
                last_lsn: Lsn(0),
                checkpoint_lsn: Lsn(0),
            },
        }
    }

    fn link(&mut self, name: &BranchName, change: impl FnOnce(&mut ModelLink)) {
        let mut link = ModelLink { time: self.now, added: Vec::new(), ..self.state(name) };
        change(&mut link);
        let links = &mut self.branches.get_mut(name).unwrap().links;
        let seq = links.last_key_value().map_or(1, |(seq, _)| seq + 1);
        links.insert(seq, link);
    }

    fn table(&mut self) -> SstId {
        let id = SstId(self.next_table);
        self.next_table += 1;
        self.tables.insert(id, self.now);
        id
    }

    fn flush(&mut self, name: &BranchName) {
        let id = self.table();
        self.link(name, |link| {
            link.added.push(id);
            link.tables.insert(id);
            link.checkpoint_lsn = link.last_lsn;
        });
    }

    fn compact(&mut self, name: &BranchName) {
        let inputs: Vec<SstId> = self.state(name).tables.into_iter().take(2).collect();
        if inputs.is_empty() {
            return;
        }
        let id = self.table();
        self.link(name, |link| {
            link.tables.retain(|table| !inputs.contains(table));
            link.added.push(id);
            link.tables.insert(id);
        });
    }

    fn checkpoint(&mut self, name: &BranchName) {
        let branch = self.branches.get_mut(name).unwrap();
        let Some((seq, link)) = branch.links.last_key_value() else { return };
        let unflushed = branch.links.iter().find(|(_, before)| before.last_lsn > link.checkpoint_lsn);
        let view = CheckpointView {
            seq: LinkSeq(*seq),
            replay_seq: LinkSeq(unflushed.map_or(seq + 1, |(seq, _)| *seq)),
            checkpoint_lsn: link.checkpoint_lsn,
            modified: self.now,
            tables: link.tables.iter().copied().collect(),
        };
        branch.checkpoints.insert(*seq, view);
    }

    /// A branch from a link that is in the window.
    fn fork(&mut self, parent: &BranchName, at: u8) {
        let window = self.now - RETENTION;
        let links = &self.branches[parent].links;
        let last = links.last_key_value().map(|(seq, _)| *seq);
        let fresh: Vec<u64> = links
            .iter()
            .filter(|(seq, link)| link.time > window || Some(**seq) == last)
            .map(|(seq, _)| *seq)
            .collect();
        if fresh.is_empty() || self.branches.len() > 5 {
            return;
        }
        let seq = fresh[usize::from(at) % fresh.len()];
        let fork = Fork { parent: parent.clone(), seq: LinkSeq(seq), lsn: links[&seq].last_lsn };
        let name = BranchName::new(&format!("b{}", self.branches.len())).unwrap();
        self.branches.insert(name.clone(), ModelBranch { fork: Some(fork), ..ModelBranch::default() });
        self.link(&name, |_| {});
    }

    fn view(&self, own: &BranchName) -> StoreView {
        let mut view = StoreView {
            branches: BTreeMap::new(),
            pins: Vec::new(),
            root_tables: BTreeMap::new(),
            live: self.state(own).tables.into_iter().collect(),
            tables: self
                .tables
                .iter()
                .map(|(id, modified)| StoredTable { id: *id, bytes: 1, modified: *modified })
                .collect(),
            now: self.now,
            retention: RETENTION,
        };
        for (name, branch) in &self.branches {
            let newest = branch.checkpoints.last_key_value().map_or(0, |(seq, _)| *seq);
            view.branches.insert(
                name.clone(),
                BranchView {
                    checkpoints: branch.checkpoints.values().cloned().collect(),
                    links: branch.links.keys().map(|seq| LinkSeq(*seq)).collect(),
                    fork: branch.fork.clone(),
                    added: branch.added(newest + 1, u64::MAX),
                },
            );
        }
        for root in view.roots() {
            let branch = &self.branches[&root.branch];
            let from = branch.checkpoints.range(..=root.seq.0).next_back().map_or(0, |(seq, _)| *seq);
            let added = branch.added(from + 1, root.seq.0);
            view.root_tables.insert(root, added);
        }
        view
    }

    /// Deletes what the function says, of every branch, as its writer would.
    fn collect(&mut self, own: &BranchName) -> StoreView {
        let view = self.view(own);
        for name in self.branches.keys().cloned().collect::<Vec<_>>() {
            let garbage = view.garbage_of(&name);
            let branch = self.branches.get_mut(&name).unwrap();
            for seq in garbage.checkpoints {
                branch.checkpoints.remove(&seq.0).unwrap();
            }
            assert!(garbage.links.is_sorted());
            for seq in garbage.links {
                branch.links.remove(&seq.0).unwrap();
            }
            let first = branch.links.first_key_value().map(|(seq, _)| LinkSeq(*seq));
            assert_eq!(first, Some(garbage.retained_seq).filter(|_| first.is_some()));
        }
        for table in view.garbage_tables() {
            self.tables.remove(&table.id).unwrap();
        }
        view
    }

    /// What a node reads that opens a branch as of a link, by the rules of `shard::chain`. `Err`: something is
    /// missing.
    fn open(&self, name: &BranchName, upto: u64) -> Result<(), String> {
        let branch = self.branches.get(name).ok_or("no branch")?;
        let checkpoint = branch.checkpoints.range(..=upto).next_back().map(|(_, view)| view);
        let from = match checkpoint {
            None => {
                if let Some(fork) = &branch.fork {
                    self.open(&fork.parent, fork.seq.0)?;
                }
                1
            }
            Some(view) => {
                view.tables.iter().try_for_each(|id| self.has(*id))?;
                match branch.fork.as_ref().filter(|fork| fork.lsn > view.checkpoint_lsn) {
                    Some(fork) => {
                        self.open(&fork.parent, fork.seq.0)?;
                        1
                    }
                    None => view.replay_seq.0,
                }
            }
        };
        for seq in from..=upto {
            let link = branch.links.get(&seq).ok_or(format!("link {seq} of {name}"))?;
            if checkpoint.is_none_or(|view| view.seq.0 < seq) {
                // The manifest as of this link is used by whoever stops here.
                if seq == upto {
                    link.tables.iter().try_for_each(|id| self.has(*id))?;
                }
            }
        }
        Ok(())
    }

    fn has(&self, id: SstId) -> Result<(), String> {
        self.tables.contains_key(&id).then_some(()).ok_or(format!("table {}", id.0))
    }

    /// Everything that may be opened: the newest state, every state of the window, every fork point.
    fn check(&self) -> Result<(), String> {
        let window = self.now - RETENTION;
        for (name, branch) in &self.branches {
            if let Some(fork) = &branch.fork
                && branch.checkpoints.is_empty()
            {
                self.open(&fork.parent, fork.seq.0).map_err(|what| format!("fork of {name}: {what}"))?;
            }
            let last = branch.links.last_key_value().map(|(seq, _)| *seq);
            for (seq, link) in &branch.links {
                if link.time > window || Some(*seq) == last {
                    self.open(name, *seq).map_err(|what| format!("{name} at {seq}: {what}"))?;
                }
            }
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn collection_leaves_everything_that_can_be_opened(actions in prop::collection::vec(action(), 1..120)) {
        let mut model = Model::new();
        let mut current = BranchName::main();
        for action in actions {
            let step = model.now + Duration::from_secs(1);
            model.now = step;
            match action {
                Action::Commit => model.link(&current, |link| link.last_lsn = link.last_lsn.next()),
                Action::Flush => model.flush(&current),
                Action::Compact => model.compact(&current),
                Action::Checkpoint => model.checkpoint(&current),
                Action::Wait(hours) => model.now += u32::try_from(hours).unwrap() * HOUR,
                Action::Fork(at) => model.fork(&current, at),
                Action::Switch(to) => {
                    let names: Vec<_> = model.branches.keys().cloned().collect();
                    current = names[usize::from(to) % names.len()].clone();
                }
                Action::Collect => {
                    model.collect(&current);
                    model.check().map_err(TestCaseError::fail)?;
                }
            }
        }
        // Once the window has passed over everything, only what is open now is left.
        for name in model.branches.keys().cloned().collect::<Vec<_>>() {
            model.checkpoint(&name);
        }
        model.now += 2 * RETENTION;
        let view = model.collect(&current);
        model.check().map_err(TestCaseError::fail)?;
        let reachable = view.reachable_tables();
        let judged = view.branches.values().filter_map(|branch| branch.checkpoints.last()).map(|newest| newest.modified).min();
        let old = |modified: &SystemTime| judged.is_some_and(|judged| *modified < judged - SLACK);
        let left: HashSet<SstId> = model.tables.iter().filter(|(_, m)| old(m)).map(|(id, _)| *id).collect();
        prop_assert!(left.is_subset(&reachable));
    }
}

fn at(hours: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(hours * 3600)
}

fn checkpoint(seq: u64, hours: u64, tables: &[u128]) -> CheckpointView {
    CheckpointView {
        seq: LinkSeq(seq),
        replay_seq: LinkSeq(seq),
        checkpoint_lsn: Lsn(seq),
        modified: at(hours),
        tables: tables.iter().copied().map(SstId).collect(),
    }
}

fn main_view(now: u64, checkpoints: Vec<CheckpointView>, tables: &[(u128, u64)]) -> StoreView {
    let last = checkpoints.last().map_or(0, |checkpoint| checkpoint.seq.0);
    let branch =
        BranchView { checkpoints, links: (1..=last).map(LinkSeq).collect(), ..BranchView::default() };
    let table = |(id, hours): &(u128, u64)| StoredTable { id: SstId(*id), bytes: 10, modified: at(*hours) };
    StoreView {
        branches: BTreeMap::from([(BranchName::main(), branch)]),
        pins: Vec::new(),
        root_tables: BTreeMap::new(),
        live: HashSet::new(),
        tables: tables.iter().map(table).collect(),
        now: at(now),
        retention: RETENTION,
    }
}

fn garbage(view: &StoreView) -> Vec<u128> {
    view.garbage_tables().iter().map(|table| table.id.0).collect()
}

#[test]
fn replaced_table_goes_when_the_window_has_passed_its_last_checkpoint() {
    let checkpoints =
        || vec![checkpoint(10, 100, &[1]), checkpoint(20, 110, &[2]), checkpoint(30, 120, &[2])];
    let tables = [(1, 90), (2, 105)];
    let view = main_view(133, checkpoints(), &tables);
    assert_eq!(garbage(&view), []);
    assert_eq!(view.garbage_of(&BranchName::main()).checkpoints, []);
    let view = main_view(134, checkpoints(), &tables);
    assert_eq!(garbage(&view), [1]);
    let of_main = view.garbage_of(&BranchName::main());
    assert_eq!(of_main.checkpoints, [LinkSeq(10)]);
    assert_eq!(of_main.links, (1..20).map(LinkSeq).collect::<Vec<_>>());
    assert_eq!(of_main.retained_seq, LinkSeq(20));
}

#[test]
fn table_on_its_way_is_kept_whatever_its_age() {
    let mut view = main_view(500, vec![checkpoint(10, 100, &[])], &[(1, 50), (2, 50)]);
    assert_eq!(garbage(&view), [1, 2]);
    view.live.insert(SstId(2));
    assert_eq!(garbage(&view), [1]);
}

#[test]
fn table_that_is_younger_than_the_base_is_not_judged() {
    let view = main_view(500, vec![checkpoint(10, 100, &[])], &[(1, 100), (2, 99)]);
    assert_eq!(garbage(&view), [2], "an hour before the base is more than the slack");
}

#[test]
fn garbage_as_young_as_the_last_checkpoint_asks_once_for_another() {
    let main = BranchName::main();
    let old = || vec![checkpoint(10, 100, &[1]), checkpoint(20, 120, &[2])];
    let tables = [(1, 120), (2, 120)];
    assert!(!main_view(120, old(), &tables).needs_checkpoint(&main), "too young for one of now");
    let view = main_view(500, old(), &tables);
    assert_eq!(garbage(&view), [], "the last checkpoint cannot judge it");
    assert!(view.needs_checkpoint(&main));
    let asked = || [old(), vec![checkpoint(21, 500, &[2])]].concat();
    assert!(!main_view(501, asked(), &tables).needs_checkpoint(&main));
    let view = main_view(525, asked(), &tables);
    assert_eq!(garbage(&view), [1]);
    assert!(!view.needs_checkpoint(&main));
}

#[test]
fn tables_that_something_needs_ask_for_no_checkpoint() {
    let main = BranchName::main();
    let checkpoints = || vec![checkpoint(10, 100, &[1]), checkpoint(20, 120, &[2])];
    let mut view = main_view(500, checkpoints(), &[(2, 120), (3, 130), (4, 119)]);
    assert!(view.needs_checkpoint(&main), "nothing has 3");
    view.live.insert(SstId(3));
    assert!(!view.needs_checkpoint(&main), "4 goes with the last checkpoint");
    let mut view = main_view(500, checkpoints(), &[(1, 120)]);
    assert!(view.needs_checkpoint(&main));
    view.pins.push(Root { branch: main.clone(), seq: LinkSeq(10) });
    assert!(!view.needs_checkpoint(&main), "the pin needs it");
    assert!(view.has_root_on(&main));
    view.pins.clear();
    assert!(!view.has_root_on(&main));
}

#[test]
fn pin_keeps_its_checkpoint_links_and_tables() {
    let checkpoints = vec![checkpoint(10, 100, &[1]), checkpoint(20, 110, &[2]), checkpoint(30, 120, &[3])];
    let mut view = main_view(900, checkpoints, &[(1, 90), (2, 90), (3, 90), (4, 90)]);
    let pin = Root { branch: BranchName::main(), seq: LinkSeq(12) };
    view.pins.push(pin.clone());
    view.root_tables.insert(pin, vec![SstId(4)]);
    assert_eq!(garbage(&view), [2]);
    let of_main = view.garbage_of(&BranchName::main());
    assert_eq!(of_main.checkpoints, [LinkSeq(20)]);
    let kept = [10, 11, 12, 30];
    let gone: Vec<LinkSeq> = (1..=30).filter(|seq| !kept.contains(seq)).map(LinkSeq).collect();
    assert_eq!(of_main.links, gone);
    assert_eq!(of_main.retained_seq, LinkSeq(10));
}

#[test]
fn branch_without_checkpoints_keeps_its_parent_at_the_fork() {
    let mut view = main_view(900, vec![checkpoint(10, 100, &[1]), checkpoint(20, 110, &[])], &[(1, 90)]);
    let fork = Fork { parent: BranchName::main(), seq: LinkSeq(15), lsn: Lsn(15) };
    let child = BranchView { fork: Some(fork), links: vec![LinkSeq(1)], ..BranchView::default() };
    view.branches.insert(BranchName::new("rescue").unwrap(), child);
    assert_eq!(garbage(&view), []);
    let of_main = view.garbage_of(&BranchName::main());
    assert_eq!(of_main.checkpoints, []);
    assert_eq!(of_main.links.last(), Some(&LinkSeq(19)));
    assert_eq!(of_main.retained_seq, LinkSeq(10));
}

#[test]
fn store_without_checkpoints_keeps_everything() {
    let mut view = main_view(900, Vec::new(), &[(1, 90)]);
    view.branches.get_mut(&BranchName::main()).unwrap().links = vec![LinkSeq(1), LinkSeq(2)];
    assert_eq!(garbage(&view), []);
    assert_eq!(view.garbage_of(&BranchName::main()).links, []);
}
