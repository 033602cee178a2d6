//! The start-up check that a store honours conditional PUTs.
//!
//! A chain is fenced by `If-None-Match: *` alone. A store that ignores it would let two writers overwrite
//! each other's links silently, so a node refuses to use one.

use bytes::Bytes;
use futures_util::future::join;

use crate::error::{StoreError, StoreErrorKind, StoreResult};
use crate::retry::random_u64;
use crate::store::Store;
use crate::traits::PutOutcome;

/// Where probe objects are, below the caller's prefix; one that was left behind may be deleted.
pub const PROBE_DIR: &str = "probe";

/// Puts three different objects under one fresh key, two of them at once. Exactly one of the two may win
/// and the third must lose; the object must then hold what the winner brought. Costs three PUTs and three
/// or four GETs.
///
/// # Errors
/// `IgnoresConditions`, naming the store, when it does not; what the requests fail with otherwise.
pub async fn probe_conditional_put(store: &Store, prefix: &str) -> StoreResult<()> {
    let name = format!("{PROBE_DIR}/{:016x}{:016x}", random_u64(), random_u64());
    let prefix = prefix.trim_end_matches('/');
    let key = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
    let outcome = race(store, &key).await;
    let deleted = store.delete(&key).await;
    match outcome? {
        Verdict::Honoured => deleted,
        Verdict::Ignored => Err(StoreError::new(
            StoreErrorKind::IgnoresConditions,
            format!(
                "the store at {} ignores If-None-Match; Aquifer would lose fencing; use a store with \
                 conditional PUT",
                store.location()
            ),
        )),
    }
}

#[derive(PartialEq)]
enum Verdict {
    Honoured,
    Ignored,
}

async fn race(store: &Store, key: &str) -> StoreResult<Verdict> {
    let bodies: Vec<Bytes> =
        (0..3).map(|index| Bytes::from(format!("probe {index} {:016x}", random_u64()))).collect();
    let first = store.put_if_absent(key, bodies[0].clone());
    let second = store.put_if_absent(key, bodies[1].clone());
    let (first, second) = join(first, second).await;
    let third = store.put_if_absent(key, bodies[2].clone()).await?;
    let winner = match (first?, second?) {
        (PutOutcome::Created, PutOutcome::Exists) => &bodies[0],
        (PutOutcome::Exists, PutOutcome::Created) => &bodies[1],
        _ => return Ok(Verdict::Ignored),
    };
    let kept = third == PutOutcome::Exists && store.get(key).await? == *winner;
    Ok(if kept { Verdict::Honoured } else { Verdict::Ignored })
}
