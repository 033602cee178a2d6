//! Who has shown the password lately: the cache of the fast path.
//!
//! An entry belongs to an account and to the verifier that was stored when the password was shown, so
//! that a changed password or a new account of the same name never meets an old entry. Shared by all
//! executors of a node; touched only at logins.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::auth::{FastDigest, Sha2Verifier};

/// Most accounts that are remembered; when full, all are forgotten and show their password again.
const ACCOUNTS_MAX: usize = 65_536;

/// Fast digests by account.
#[derive(Debug, Default)]
pub struct AuthCache {
    entries: Mutex<HashMap<String, Entry>>,
}

#[derive(Debug)]
struct Entry {
    verifier: Sha2Verifier,
    digest: FastDigest,
}

impl AuthCache {
    /// An empty cache.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The digest for an account, if its verifier is still the one that it was made under.
    #[must_use]
    pub fn get(&self, account: &str, verifier: &Sha2Verifier) -> Option<FastDigest> {
        let entries = self.lock();
        entries.get(account).filter(|entry| entry.verifier == *verifier).map(|entry| entry.digest)
    }

    /// Remembers that the account has shown the password of `verifier`.
    pub fn insert(&self, account: &str, verifier: &Sha2Verifier, digest: FastDigest) {
        let mut entries = self.lock();
        if entries.len() >= ACCOUNTS_MAX {
            entries.clear();
        }
        entries.insert(account.to_owned(), Entry { verifier: verifier.clone(), digest });
    }

    /// Forgets all (FLUSH PRIVILEGES).
    pub fn clear(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        // Every state between two operations is whole, also when a thread panicked in one.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
