//! The pins of a store: which states they keep, and since when.

use aquifer_format::{ObjectKey, Pin, key};
use aquifer_objstore::block_on;
use aquifer_shard::error::NodeResult;
use aquifer_shard::event;

use super::Context;
use super::text::{Align, Columns};

/// Prints all pins, of every branch.
///
/// # Errors
/// `Corrupt` naming the pin; what the store fails with.
pub fn pins(context: &Context<'_>) -> NodeResult<String> {
    let mut columns = Columns::new(&[
        ("pin", Align::Left),
        ("branch", Align::Left),
        ("link", Align::Right),
        ("LSN", Align::Right),
        ("made", Align::Left),
    ]);
    let mut count = 0;
    for object in block_on(context.store.list(&key::pins_prefix(""), None))? {
        let Some(ObjectKey::Pin(name)) = ObjectKey::parse("", &object.key) else { continue };
        let pin = Pin::decode(block_on(context.store.get(&object.key))?, &object.key)?;
        let made = event::utc_text(pin.created_micros);
        columns.row(vec![
            name.to_string(),
            pin.branch.to_string(),
            pin.seq.to_string(),
            pin.lsn.to_string(),
            made,
        ]);
        count += 1;
    }
    Ok(if count == 0 { "no pins\n".to_owned() } else { columns.print() })
}
