//! The page, and the same for programs.
//!
//! Names come from the manifest, which lets them have letters, digits and `-` only; nothing here has to be
//! escaped.

use alloc::{
    string::{String, ToString},
    vec::Vec,
};
use core::{fmt, fmt::Write, net::Ipv4Addr};

use bmi_api::manage::Listed;
use cloison_abi::port::PortFlags;
use ipcmon_api::control::Counted;
use ore_api::{Cause, Mac, Report};

/// What the page looks like.
const STYLE: &str = include_str!("page.css");
/// What keeps its numbers up to date.
const SCRIPT: &str = include_str!("page.js");

/// What is shown: what this domain can ask for.
pub(crate) struct Shown {
    pub ports: Option<Vec<Report>>,
    pub domains: Option<Vec<Listed>>,
    pub decisions: Option<Counted>,
}

impl Shown {
    /// Whether there is nothing to show.
    pub(crate) fn is_nothing(&self) -> bool {
        self.ports.is_none() && self.domains.is_none() && self.decisions.is_none()
    }
}

/// The page.
pub(crate) fn html(domain: &str, system: &str, shown: &Shown) -> String {
    text(format_args!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{domain} of {system}</title>\n\
         <link rel=\"icon\" href=\"data:,\">\n\
         <style>\n{STYLE}</style>\n<h1>Hello from <em>{domain}</em></h1>\n\
         <p>This page comes from a unikernel domain of the system <em>{system}</em>.</p>\n\
         <p class=\"late\" role=\"status\">No answer: what is shown here was so before.</p>\n\
         {}{}{}<script>\n{SCRIPT}</script>\n</html>\n",
        shown.domains.as_deref().map_or(String::new(), life),
        shown.decisions.as_ref().map_or(String::new(), verdicts),
        shown.ports.as_deref().map_or(String::new(), ports),
    ))
}

/// The switch.
fn ports(reports: &[Report]) -> String {
    let rows: String = reports.iter().map(row).collect();
    let about = "The packets of this page pass a switch that is a domain as well; these are its ports, as it counts them now.";
    let heads =
        ["port", "MAC address", "!frames in", "!bytes in", "!frames out", "!bytes out", "!frames dropped"];
    text(format_args!(
        "{}{}",
        table(["Ports", about], &heads, ["counters.json", "ports"], &rows),
        topology(reports)
    ))
}

/// The domains, and how each is. Their number is the manifest's, so the rows stay.
fn life(domains: &[Listed]) -> String {
    let rows = domains.iter().map(|listed| {
        let cells: String = figures(listed)
            .into_iter()
            .map(|(key, figure)| match figure {
                Some(figure) => number(key, u64::from(figure)),
                None => text(format_args!("<td class=\"n\" data-key=\"{key}\">\u{2013}")),
            })
            .collect();
        let (name, state) = (listed.name, state(listed));
        text(format_args!("<tr><td>{name}<td data-key=\"state\">{state}{cells}</tr>\n"))
    });
    let rows: String = rows.collect();
    let about = "Each domain of the system, as it is now. Of those that are started at boot, and are nobody's to manage, no \
                 more is known.";
    let heads = ["domain", "state", "!memory, KiB", "!CPU time, ms", "!lives ended"];
    table(["Domains", about], &heads, ["status.json", "domains"], &rows)
}

/// Of what is not managed nobody knows more than that it was started at boot.
fn state(listed: &Listed) -> &'static str {
    if listed.is_managed { listed.state.name() } else { "at boot" }
}

/// What is known of a domain in numbers.
fn figures(listed: &Listed) -> [(&'static str, Option<u32>); 3] {
    let known = |figure| listed.is_managed.then_some(figure);
    [("kib", known(listed.kib)), ("cpu_ms", known(listed.cpu_ms)), ("lives", known(listed.lives))]
}

/// What the monitor was asked, and how it has answered.
fn verdicts(counted: &Counted) -> String {
    let cells: String =
        counts(counted).into_iter().map(|(key, count)| number(key, u64::from(count))).collect();
    let about = "Domains may do to each other what the policy allows. A monitor is asked when one does something for the \
                 first time; the kernel keeps the answer.";
    let heads = ["!questions", "!allowed", "!denied", "!answers kept", "!acts refused", "!policies so far"];
    table(
        ["Decisions", about],
        &heads,
        ["status.json", "decisions"],
        &text(format_args!("<tr>{cells}</tr>\n")),
    )
}

fn counts(counted: &Counted) -> [(&'static str, u32); 6] {
    let Counted { questions, allowed, denied, kept, refused, epoch } = *counted;
    [
        ("questions", questions),
        ("allowed", allowed),
        ("denied", denied),
        ("kept", kept),
        ("refused", refused),
        ("epoch", epoch),
    ]
}

/// The system as JSON: an array of the domains, in the order of the manifest, and what the monitor has decided.
pub(crate) fn status_json(shown: &Shown) -> String {
    let domains = shown.domains.as_deref().map(domains_json);
    let decisions = shown.decisions.as_ref().map(|counted| {
        let counts = counts(counted).map(|(key, count)| text(format_args!("\"{key}\":{count}")));
        text(format_args!("\"decisions\":{{{}}}", counts.join(",")))
    });
    let all: Vec<String> = [domains, decisions].into_iter().flatten().collect();
    text(format_args!("{{{}}}\n", all.join(",")))
}

fn domains_json(domains: &[Listed]) -> String {
    let all = domains.iter().map(|listed| {
        let (name, state, is_managed) = (listed.name, state(listed), listed.is_managed);
        let mut json =
            text(format_args!("{{\"name\":\"{name}\",\"state\":\"{state}\",\"managed\":{is_managed}"));
        for (key, figure) in figures(listed) {
            // Writing to a string does not fail.
            let _ = match figure {
                Some(figure) => write!(json, ",\"{key}\":{figure}"),
                None => write!(json, ",\"{key}\":null"),
            };
        }
        json.push('}');
        json
    });
    text(format_args!("\"domains\":[{}]", all.collect::<Vec<_>>().join(",")))
}

/// One card for each VLAN, with the ports in it; the ports in one card can reach each other.
fn topology(reports: &[Report]) -> String {
    let mut vlans: Vec<u16> =
        reports.iter().filter(|report| !is_mirror(report)).map(|report| report.facts.vlan).collect();
    vlans.sort_unstable();
    vlans.dedup();
    let cards = vlans.iter().map(|vlan| {
        let ports = reports.iter().filter(|report| report.facts.vlan == *vlan && !is_mirror(report));
        let ports: String = ports.map(|report| text(format_args!("<li>{}</li>", place(report)))).collect();
        text(format_args!("<section><h2>VLAN {vlan}</h2><ul>{ports}</ul></section>\n"))
    });
    text(format_args!("<div class=\"lans\">\n{}</div>\n", cards.collect::<String>()))
}

fn place(report: &Report) -> String {
    let kind =
        if report.flags().contains(PortFlags::UPLINK) { " <small>to the world outside</small>" } else { "" };
    text(format_args!("<b>{}</b> {}{kind}", report.facts.name, address(report)))
}

fn row(report: &Report) -> String {
    let counters = &report.counters;
    let mac = Mac::from(report.facts.mac);
    let numbers = [
        ("frames_in", counters.frames_in),
        ("bytes_in", counters.bytes_in),
        ("frames_out", counters.frames_out),
        ("bytes_out", counters.bytes_out),
        ("dropped", dropped(report)),
    ];
    let cells: String = numbers.into_iter().map(|(key, count)| number(key, count)).collect();
    text(format_args!("<tr><td>{}<td><code>{mac}</code>{cells}</tr>\n", report.facts.name))
}

/// The counters as JSON: an array of ports, in the order of their numbers.
pub(crate) fn counters_json(shown: &Shown) -> String {
    let ports: Vec<String> = shown.ports.iter().flatten().map(port_json).collect();
    text(format_args!("{{\"ports\":[{}]}}\n", ports.join(",")))
}

fn port_json(report: &Report) -> String {
    let (facts, counters) = (&report.facts, &report.counters);
    let mut causes = String::new();
    for cause in Cause::ALL.iter().filter(|cause| counters.dropped(**cause) > 0) {
        let comma = if causes.is_empty() { "" } else { "," };
        // Writing to a string does not fail.
        let _ = write!(causes, "{comma}\"{cause}\":{}", counters.dropped(*cause));
    }
    text(format_args!(
        "{{\"name\":\"{}\",\"vlan\":{},\"address\":\"{}\",\"mac\":\"{}\",\"uplink\":{},\"mirror\":{},\"cut_off\":{},\
         \"frames_in\":{},\"bytes_in\":{},\"frames_out\":{},\"bytes_out\":{},\"dropped\":{},\"causes\":{{{causes}}}}}",
        facts.name,
        facts.vlan,
        address(report),
        Mac::from(facts.mac),
        report.flags().contains(PortFlags::UPLINK),
        is_mirror(report),
        facts.cut_off,
        counters.frames_in,
        counters.bytes_in,
        counters.frames_out,
        counters.bytes_out,
        dropped(report),
    ))
}

fn is_mirror(report: &Report) -> bool {
    report.flags().contains(PortFlags::MIRROR)
}

fn dropped(report: &Report) -> u64 {
    report.counters.dropped.iter().sum()
}

/// A table that keeps itself up to date: from which file of this site, and by which name in there. A head that begins with `!`
/// stands over numbers.
fn table([title, about]: [&str; 2], heads: &[&str], [from, list]: [&str; 2], rows: &str) -> String {
    let head = |head: &&str| match head.strip_prefix('!') {
        Some(head) => text(format_args!("<th class=\"n\">{head}")),
        None => text(format_args!("<th>{head}")),
    };
    let heads: String = heads.iter().map(head).collect();
    text(format_args!(
        "<h2>{title}</h2>\n<p>{about}</p>\n<div class=\"wide\"><table>\n<thead><tr>{heads}</tr></thead>\n\
         <tbody data-from=\"{from}\" data-list=\"{list}\">\n{rows}</tbody>\n</table></div>\n"
    ))
}

/// A cell of a table with a number.
fn number(key: &str, number: u64) -> String {
    text(format_args!("<td class=\"n\" data-key=\"{key}\">{number}"))
}

/// The port's IPv4 address; empty if it has none.
fn address(report: &Report) -> String {
    let address = Ipv4Addr::from(report.facts.address);
    if address.is_unspecified() { String::new() } else { address.to_string() }
}

/// Text as a string. `format!` would do the same; but it comes compiled, with code for unwinding, which no
/// domain has.
pub(crate) fn text(arguments: fmt::Arguments<'_>) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = text.write_fmt(arguments);
    text
}
