//! What a store holds, as [`aquifer_lsm::reachability`] judges it.
//!
//! Objects never change, so what was read of a checkpoint or a link once is kept: an hour later only what is
//! new is read. Whatever cannot be read or verified ends the gathering: in doubt nothing is deleted.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, SystemTime};

use aquifer_format::{
    Checkpoint, ForkRecord, Link, ManifestEdit, ObjectKey, Pin, checkpoint_key, key, link_key,
};
use aquifer_lsm::reachability::{BranchView, CheckpointView, Fork, Root, StoreView, StoredTable};
use aquifer_objstore::{ObjectInfo, Store};
use aquifer_shard::error::{NodeError, NodeResult};
use aquifer_types::{BranchName, LinkSeq, Lsn, SstId};

/// What a listing and the objects that it names say.
#[derive(Clone, Debug)]
pub struct Gathered {
    /// For the pure function.
    pub view: StoreView,
    /// Length of every object that a listing has shown, tables apart.
    pub chain_bytes: u64,
    /// The last LSN of each checkpoint of each branch.
    pub last_lsns: BTreeMap<(BranchName, LinkSeq), Lsn>,
}

/// Reads stores, remembering what cannot change.
#[derive(Debug, Default)]
pub struct Gatherer {
    checkpoints: HashMap<(BranchName, LinkSeq), Known>,
    links: HashMap<(BranchName, LinkSeq), LinkFacts>,
}

#[derive(Clone, Debug)]
struct Known {
    view: CheckpointView,
    last_lsn: Lsn,
    parent: Option<Fork>,
}

#[derive(Clone, Debug)]
struct LinkFacts {
    added: Vec<SstId>,
    fork: Option<Fork>,
}

/// A branch in a listing.
#[derive(Debug, Default)]
struct Listed {
    links: Vec<LinkSeq>,
    checkpoints: Vec<(LinkSeq, SystemTime)>,
    head: Option<SystemTime>,
}

impl Gatherer {
    /// Reads what is new in a store. `own` is the branch whose tables are in `live`; its head has just been
    /// written, which tells the time by the store's clock. Other branches are read up to their end.
    ///
    /// # Errors
    /// `Corrupt` naming an object, `Unavailable`.
    pub async fn gather(
        &mut self,
        store: &Store,
        own: &BranchName,
        live: HashSet<SstId>,
        retention: Duration,
    ) -> NodeResult<Gathered> {
        let (listed, chain_bytes) = self.list_branches(store).await?;
        let now = listed.get(own).and_then(|branch| branch.head);
        let now = now.ok_or_else(|| NodeError::corrupt(format!("branch {own} has no head")))?;
        let tables = list_tables(store).await?;
        let (pins, pin_bytes) = list_pins(store).await?;
        let mut view = StoreView {
            branches: BTreeMap::new(),
            pins,
            root_tables: BTreeMap::new(),
            live,
            tables,
            now,
            retention,
        };
        let mut last_lsns = BTreeMap::new();
        for (name, branch) in listed {
            let mut known = Vec::new();
            for (seq, modified) in &branch.checkpoints {
                let mut checkpoint = self.checkpoint(store, &name, *seq).await?;
                checkpoint.view.modified = *modified;
                last_lsns.insert((name.clone(), *seq), checkpoint.last_lsn);
                known.push(checkpoint);
            }
            let fork = match known.last() {
                Some(newest) => newest.parent.clone(),
                None if branch.links.first() == Some(&LinkSeq(1)) => {
                    self.link(store, &name, LinkSeq(1)).await?.fork
                }
                None => None,
            };
            let after = known.last().map_or(LinkSeq(0), |newest| newest.view.seq);
            let mut added = Vec::new();
            if name != *own {
                for seq in branch.links.iter().filter(|seq| **seq > after) {
                    added.extend(self.link(store, &name, *seq).await?.added);
                }
            }
            let checkpoints = known.into_iter().map(|checkpoint| checkpoint.view).collect();
            view.branches.insert(name, BranchView { checkpoints, links: branch.links, fork, added });
        }
        for root in view.roots() {
            let tables = self.root_tables(store, &view, &root).await?;
            view.root_tables.insert(root, tables);
        }
        self.forget_others(&view);
        Ok(Gathered { view, chain_bytes: chain_bytes + pin_bytes, last_lsns })
    }

    async fn list_branches(&self, store: &Store) -> NodeResult<(BTreeMap<BranchName, Listed>, u64)> {
        let mut branches: BTreeMap<BranchName, Listed> = BTreeMap::new();
        let mut bytes = 0;
        for ObjectInfo { key, size, modified } in store.list(&key::branches_prefix(""), None).await? {
            bytes += size;
            match ObjectKey::parse("", &key) {
                Some(ObjectKey::Link(name, seq)) => branches.entry(name).or_default().links.push(seq),
                Some(ObjectKey::Checkpoint(name, seq)) => {
                    branches.entry(name).or_default().checkpoints.push((seq, modified));
                }
                Some(ObjectKey::Head(name)) => branches.entry(name).or_default().head = Some(modified),
                _ => {}
            }
        }
        Ok((branches, bytes))
    }

    async fn checkpoint(&mut self, store: &Store, branch: &BranchName, seq: LinkSeq) -> NodeResult<Known> {
        let at = (branch.clone(), seq);
        if let Some(known) = self.checkpoints.get(&at) {
            return Ok(known.clone());
        }
        let key = checkpoint_key("", branch, seq);
        let read = Checkpoint::decode(store.get(&key).await?, &key)?;
        let known = Known {
            view: CheckpointView {
                seq,
                replay_seq: read.replay_seq,
                checkpoint_lsn: read.checkpoint_lsn,
                modified: SystemTime::UNIX_EPOCH,
                tables: read.ssts.iter().map(|meta| meta.sst_id()).collect(),
            },
            last_lsn: read.last_lsn,
            parent: read.parent.as_ref().map(fork),
        };
        self.checkpoints.insert(at, known.clone());
        Ok(known)
    }

    async fn link(&mut self, store: &Store, branch: &BranchName, seq: LinkSeq) -> NodeResult<LinkFacts> {
        let at = (branch.clone(), seq);
        if let Some(facts) = self.links.get(&at) {
            return Ok(facts.clone());
        }
        let key = link_key("", branch, seq);
        let link = Link::decode(store.get(&key).await?, &key)?;
        let tables = |edit: &ManifestEdit| edit.added.iter().map(|meta| meta.sst_id()).collect::<Vec<_>>();
        let facts =
            LinkFacts { added: link.edits().flat_map(tables).collect(), fork: link.fork_record().map(fork) };
        self.links.insert(at, facts.clone());
        Ok(facts)
    }

    /// Tables that are added between the newest checkpoint at or before a root, and the root.
    async fn root_tables(&mut self, store: &Store, view: &StoreView, root: &Root) -> NodeResult<Vec<SstId>> {
        let Some(branch) = view.branches.get(&root.branch) else {
            return Err(NodeError::corrupt(format!(
                "branch {} is missing, and another one needs it",
                root.branch
            )));
        };
        let before = branch.checkpoints.iter().rev().find(|checkpoint| checkpoint.seq <= root.seq);
        let after = before.map_or(LinkSeq(0), |checkpoint| checkpoint.seq);
        let mut tables = Vec::new();
        let links: Vec<LinkSeq> =
            branch.links.iter().copied().filter(|seq| *seq > after && *seq <= root.seq).collect();
        for seq in links {
            tables.extend(self.link(store, &root.branch, seq).await?.added);
        }
        Ok(tables)
    }

    /// Memory for what has gone.
    fn forget_others(&mut self, view: &StoreView) {
        let branch = |name: &BranchName| view.branches.get(name);
        self.checkpoints.retain(|(name, seq), _| {
            branch(name).is_some_and(|branch| branch.checkpoints.iter().any(|known| known.seq == *seq))
        });
        self.links.retain(|(name, seq), _| {
            branch(name).is_some_and(|branch| branch.links.binary_search(seq).is_ok())
        });
    }
}

fn fork(record: &ForkRecord) -> Fork {
    Fork { parent: record.parent.clone(), seq: record.parent_seq, lsn: record.lsn }
}

/// What pins keep, and the bytes of the pins themselves. One that is deleted meanwhile keeps nothing.
async fn list_pins(store: &Store) -> NodeResult<(Vec<Root>, u64)> {
    let (mut roots, mut bytes) = (Vec::new(), 0);
    for ObjectInfo { key, size, .. } in store.list(&key::pins_prefix(""), None).await? {
        bytes += size;
        if !matches!(ObjectKey::parse("", &key), Some(ObjectKey::Pin(_))) {
            continue;
        }
        match store.get(&key).await {
            Ok(object) => {
                let pin = Pin::decode(object, &key)?;
                roots.push(Root { branch: pin.branch, seq: pin.seq });
            }
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok((roots, bytes))
}

async fn list_tables(store: &Store) -> NodeResult<Vec<StoredTable>> {
    let objects = store.list(&key::sst_prefix(""), None).await?;
    let table = |object: &ObjectInfo| match ObjectKey::parse("", &object.key) {
        Some(ObjectKey::Sst(id)) => Some(StoredTable { id, bytes: object.size, modified: object.modified }),
        _ => None,
    };
    Ok(objects.iter().filter_map(table).collect())
}
