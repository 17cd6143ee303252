//! What one domain can tell others, and others it.

use crate::diagnostic::propose;
use crate::flow::{Flow, Flows, Node, NodeId};
use crate::query::{Assume, ask_about};
use crate::system::System;
use crate::table::Table;

/// Describes a domain's reach: what flows from it and to it in one step, and how far that leads.
///
/// # Errors
///
/// That there is no such domain, and which was probably meant.
pub fn caps(system: &System, domain: &str) -> Result<String, String> {
    let flows = Flows::new(system);
    let known = system.domains().find(|(_, known)| known.name == domain);
    let Some(node) = known.and_then(|(id, _)| flows.find(Node::Domain(id))) else {
        let names: Vec<&str> = system.domains().map(|(_, domain)| domain.name.as_str()).collect();
        let proposal = propose(domain, "domain", names);
        return Err(format!("there is no domain `{domain}` in this system\n{proposal}"));
    };
    let told = direct(&flows, |flow| (flow.from == node).then_some(flow.to));
    let tells = direct(&flows, |flow| (flow.to == node).then_some(flow.from));
    let far = [
        (format!("{domain} can reach"), format!("whom can domain:{domain} reach")),
        (format!("{domain} can be reached by"), format!("who can reach domain:{domain}")),
    ];
    let mut text = told.render(&format!("{domain} tells")) + &tells.render(&format!("{domain} is told by"));
    for (title, question) in far {
        let answer = ask_about(system, &flows, &question, Assume::Usual).map_err(|why| why.message)?;
        let lines: String = answer.text.lines().map(|line| format!("  {line}\n")).collect();
        text += &format!("{title}\n{lines}\n");
    }
    Ok(text.trim_end().to_owned() + "\n")
}

/// One row for each node at the other end, in the order of the manifest.
fn direct(flows: &Flows, other: impl Fn(&Flow) -> Option<NodeId>) -> Table {
    let mut table = Table::new(["whom", "by"]);
    for (node, _) in flows.nodes() {
        let between = flows.flows().iter().filter(|flow| !flow.is_hostile && other(flow) == Some(node));
        let whats: Vec<&str> = between.map(|flow| flow.what.as_str()).collect();
        if !whats.is_empty() {
            table.row([flows.name(node).to_owned(), whats.join(", ")]);
        }
    }
    table
}
