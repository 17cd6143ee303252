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
use ore_api::{Cause, Mac, Report};

/// What the page looks like.
const STYLE: &str = include_str!("page.css");
/// What keeps its numbers up to date.
const SCRIPT: &str = include_str!("page.js");

/// The page: what this domain can ask for.
pub(crate) fn html(
    domain: &str,
    system: &str,
    reports: Option<&[Report]>,
    domains: Option<&[Listed]>,
) -> String {
    text(format_args!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{domain} of {system}</title>\n\
         <link rel=\"icon\" href=\"data:,\">\n\
         <style>\n{STYLE}</style>\n<h1>Hello from <em>{domain}</em></h1>\n\
         <p>This page comes from a unikernel domain of the system <em>{system}</em>.</p>\n\
         {}{}<script>\n{SCRIPT}</script>\n</html>\n",
        reports.map_or(String::new(), ports),
        domains.map_or(String::new(), life),
    ))
}

/// The switch.
fn ports(reports: &[Report]) -> String {
    text(format_args!(
        "<p>Its packets pass a switch that is a domain as well; these are its ports, as it counts them now.</p>\n{}{}",
        topology(reports),
        table(reports),
    ))
}

/// The domains, and how each is. Their number is the manifest's, so the rows stay.
fn life(domains: &[Listed]) -> String {
    let rows = domains.iter().map(|listed| {
        let Listed { name, lives, kib, cpu_ms, .. } = listed;
        let state = state(listed);
        text(format_args!(
            "<tr><td>{name}<td data-key=\"state\">{state}<td class=\"n\" data-key=\"kib\">{kib}\
             <td class=\"n\" data-key=\"cpu_ms\">{cpu_ms}\
             <td class=\"n\" data-key=\"lives\">{lives}</tr>\n"
        ))
    });
    text(format_args!(
        "<p>These are the domains of the system, as they are now.</p>\n\
         <table>\n<thead><tr><th>domain<th>state<th>KiB of the budget<th>ms of CPU time<th>lives ended</tr></thead>\n\
         <tbody data-from=\"status.json\" data-list=\"domains\">\n{}</tbody>\n</table>\n",
        rows.collect::<String>()
    ))
}

/// Of what is not managed nobody knows more than that it was started at boot.
fn state(listed: &Listed) -> &'static str {
    if listed.is_managed { listed.state.name() } else { "at boot" }
}

/// The domains as JSON: an array of them, in the order of the manifest.
pub(crate) fn domains_json(domains: &[Listed]) -> String {
    let all = domains.iter().map(|listed| {
        let Listed { name, lives, kib, cpu_ms, is_managed, .. } = listed;
        let state = state(listed);
        text(format_args!(
            "{{\"name\":\"{name}\",\"state\":\"{state}\",\"managed\":{is_managed},\"lives\":{lives},\"kib\":{kib},\"cpu_ms\":{cpu_ms}}}"
        ))
    });
    text(format_args!("{{\"domains\":[{}]}}\n", all.collect::<Vec<_>>().join(",")))
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

fn table(reports: &[Report]) -> String {
    let rows: String = reports.iter().map(row).collect();
    text(format_args!(
        "<table>\n<thead><tr><th>port<th>MAC address<th>frames in<th>bytes in<th>frames out<th>bytes out\
         <th>dropped</tr></thead>\n<tbody data-from=\"counters.json\" data-list=\"ports\">\n{rows}</tbody>\n</table>\n"
    ))
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
    let cell = |(key, number)| text(format_args!("<td class=\"n\" data-key=\"{key}\">{number}"));
    let cells: String = numbers.into_iter().map(cell).collect();
    text(format_args!("<tr><td>{}<td><code>{mac}</code>{cells}</tr>\n", report.facts.name))
}

/// The counters as JSON: an array of ports, in the order of their numbers.
pub(crate) fn ports_json(reports: &[Report]) -> String {
    let ports: Vec<String> = reports.iter().map(port_json).collect();
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
