//! How much code a domain's memory may rest on.

use crate::diagnostic::Diagnostic;
use crate::system::Draft;

pub(super) fn senseless(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let mut faults = Vec::new();
    for table in draft.domains.iter().map(|domain| domain.table) {
        let Some(budget) = &table.rests_on_at_most else { continue };
        let name = &table.name.value;
        if budget.is_empty {
            let message = format!("`{name}` rests on at most nothing that is named");
            let help = "name at least one of `lines`, `unsafe`, `crates` and `kib`, or leave it out";
            faults.push(Diagnostic::new(budget.at, message).help(help));
        }
        for (key, bound) in budget.bounds().filter(|(key, bound)| bound.value == 0 && *key != "unsafe") {
            let message = format!("`{name}` cannot rest on 0 {key}: the kernel alone has more");
            let help = "`cargo image report --tcb` says what it rests on now";
            faults.push(Diagnostic::new(bound.span, message).help(help));
        }
    }
    faults
}
