//! The part of SHOW ENGINE INNODB STATUS about transactions, in the order and with the headings that tools look for.

use aquifer_sql::virtual_tables::locks::LockReport;

/// Adds the latest deadlock and the transactions.
pub(crate) fn add_transactions(report: &LockReport, out: &mut String) {
    if let Some(deadlock) = &report.latest_deadlock {
        out.push_str("------------------------\nLATEST DETECTED DEADLOCK\n------------------------\n");
        for (number, (transaction, weight, key)) in deadlock.cycle.iter().enumerate() {
            let number = number + 1;
            out.push_str(&format!(
                "*** ({number}) TRANSACTION {transaction}: rows locked and written {weight}\n"
            ));
            out.push_str(&format!("*** ({number}) WAITING FOR THIS LOCK TO BE GRANTED: key {}\n", hex(key)));
        }
        let at = deadlock.cycle.iter().position(|(transaction, ..)| *transaction == deadlock.victim);
        out.push_str(&format!("*** WE ROLL BACK TRANSACTION ({})\n", at.map_or(0, |at| at + 1)));
    }
    out.push_str("------------\nTRANSACTIONS\n------------\n");
    out.push_str(&format!("Deadlocks since the start {}\n", report.deadlocks));
    for row in &report.transactions {
        let blockers: Vec<String> = report
            .waits
            .iter()
            .filter(|wait| wait.requesting == row.id)
            .map(|wait| wait.blocking.to_string())
            .collect();
        out.push_str(&format!("---TRANSACTION {}, {}, thread id {}", row.id, row.isolation, row.connection));
        out.push_str(&format!(", {} row lock(s), {} row(s) written\n", row.locked, row.written));
        if !blockers.is_empty() {
            out.push_str(&format!("LOCK WAIT for transaction(s) {}\n", blockers.join(", ")));
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
