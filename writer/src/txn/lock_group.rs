//! Locks that a statement asks for together, before it goes through its rows one by one.

use std::rc::Rc;

use bytes::Bytes;

use super::WriteTxn;

impl WriteTxn {
    /// Whether asking for locks together saves messages: several of them, and not all of this executor, which grants
    /// its own without any. Ranges of others are waited for key by key.
    pub(super) fn pays_together(&self, keys: &[Bytes]) -> bool {
        let local = &self.part.local;
        keys.len() > 1
            && !local.has_ranges()
            && keys.iter().any(|key| local.homes().home_of(key) != local.index())
    }

    /// Locks all keys, or none that was not locked before. They are noted first, so that the end releases them whenever
    /// it comes.
    pub(super) async fn lock_together(&self, keys: Vec<Bytes>) {
        let local = &self.part.local;
        let mut by_home = vec![Vec::new(); local.homes().count()];
        for key in &keys {
            by_home[local.homes().home_of(key)].push(key.clone());
        }
        let noted_before: Vec<usize> = self.locks.borrow().iter().map(Vec::len).collect();
        self.note_together(&keys);

        let here = local.index();
        let own = std::mem::take(&mut by_home[here]);
        let mut locked = vec![Vec::new(); by_home.len()];
        let mut all = true;
        match local.lock_group_here(self.id, &own) {
            Some(new) => locked[here] = new,
            None => all = false,
        }
        let mut answers = Vec::new();
        for (home, keys) in by_home.into_iter().enumerate().filter(|(_, keys)| all && !keys.is_empty()) {
            answers.push((home, local.lock_group(self.id, home, keys)));
        }
        for (home, answer) in answers {
            match answer.await {
                Ok(Some(new)) => locked[home] = new,
                _ => all = false,
            }
        }
        if all {
            self.group.borrow_mut().extend(keys);
        } else {
            self.forget_together(keys.len(), &noted_before);
            Rc::clone(local).release(self.id, locked.into_boxed_slice());
        }
    }

    fn note_together(&self, keys: &[Bytes]) {
        for key in keys {
            self.note_lock(key, aquifer_sql::txn::LockMode::Exclusive);
        }
    }

    fn forget_together(&self, count: usize, noted_before: &[usize]) {
        for (noted, before) in self.locks.borrow_mut().iter_mut().zip(noted_before) {
            noted.truncate(*before);
        }
        self.held.borrow_mut().forget_last(count);
        self.weight.set(self.weight.get() - count as u64);
    }
}
