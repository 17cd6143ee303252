//! Rates over TCP, by the wall clock: between two domains, and between the host and a domain.

use std::{
    net::Ipv4Addr,
    os::fd::{AsFd, BorrowedFd},
    thread,
    time::Duration,
};

use image_builder::build::Context;
use image_machine::{
    Failure,
    patience::Patience,
    process,
    run::{Devices, Event, HostPorts, Line, Machine, OpenForward, Session, Transcript},
    tools,
};

use super::{Bench, Figures, TIMES, linux::Linux, median, rows};

/// What a server says when it can be measured; the domain and Linux say the same.
const READY: &str = "server listening";
/// How long a system may take to be ready; see [`Patience`].
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
/// How often the host's iperf3 tries to measure it, and how long it pauses after a try.
const TRIES: usize = 5;
const PAUSE: Duration = Duration::from_millis(200);

impl Bench<'_> {
    /// The median rate between two domains, in bits per second.
    ///
    /// # Errors
    ///
    /// When the system cannot be built, or its run does not end well.
    pub(super) fn rate_between_domains(&self) -> Result<Figures, Failure> {
        let built = self.build(rows::BETWEEN_DOMAINS)?;
        let step = self.context.progress.step("measuring TCP");
        let mut rates = Vec::new();
        for _ in 0..TIMES {
            let booted = self.boot(&built, &built.machine())?;
            let line = booted.transcript.last_of(built.system.ends_with().unwrap_or_default());
            rates.extend(line.and_then(|line| rate(line, "Mbits/sec")).map(|rate| rate * 1e6));
        }
        let figures = named([("tcp-rate", &rates)]);
        step.done(&format!("{} runs", rates.len()));
        Ok(figures)
    }

    /// The median rates between the host and a domain, and those between the host and Linux.
    ///
    /// # Errors
    ///
    /// When a system cannot be built or does not start, or when iperf3 cannot measure it.
    pub(super) fn rates_of_host(&self, linux: Option<&Linux<'_>>) -> Result<(Figures, Figures), Failure> {
        let context = self.context;
        if tools::require(&[tools::IPERF3], &context.progress, &context.interrupts).is_err() {
            // The other figures do not need it.
            return Ok(Default::default());
        }
        let built = self.build(rows::FROM_HOST)?;
        let step = context.progress.step("measuring TCP from the host");
        let forwards = OpenForward::open_all(&built.system, HostPorts::Free)?;
        let forward = forwards.first().ok_or_else(|| {
            Failure::Failed(format!("{} has no forward that leads to a server", built.system.name()))
        })?;
        let mut machine = built.machine();
        machine.devices =
            Devices { system: &built.system, forwards: &forwards, disks: &[], capture: None }.arguments();
        let own = measure(context, &machine, forward.host_port)?;
        let peer =
            linux.map(|linux| measure(context, &linux.server(&machine, forward.address), forward.host_port));
        step.done("");
        Ok((own, peer.transpose()?.unwrap_or_default()))
    }
}

impl Linux<'_> {
    /// The machine with Linux on it, which has the address of the domain and serves iperf3.
    fn server(&self, machine: &Machine, address: Ipv4Addr) -> Machine {
        self.machine(machine, &format!("SERVE={address}/24"))
    }
}

/// Boots a server and has the host's iperf3 measure it through a port of the host.
fn measure(context: &Context, machine: &Machine, port: u16) -> Result<Figures, Failure> {
    let mut session = Session::start(machine, None)?;
    wait_for_line(context, &mut session, READY, PATIENCE)?;
    let (mut to, mut from) = (Vec::new(), Vec::new());
    for _ in 0..TIMES {
        to.push(iperf3(context, port, &[])?);
        from.push(iperf3(context, port, &["-R"])?);
    }
    Ok(named([("host-to-domain", &to), ("domain-to-host", &from)]))
}

/// Waits until somebody says what begins so, for no longer than `limit`, as [`Patience`] counts it.
pub(super) fn wait_for_line(
    context: &Context,
    session: &mut Session,
    begin: &str,
    limit: Duration,
) -> Result<(), Failure> {
    let mut patience = Patience::new();
    let mut transcript = Transcript::default();
    loop {
        let others: [BorrowedFd<'_>; 1] = [context.interrupts.as_fd()];
        match session.next(Some(patience.next_look()), &others)? {
            Event::Output(bytes) => {
                let ready = |line: &Line| line.message().starts_with(begin);
                if transcript.add(&bytes).iter().any(ready) {
                    return Ok(());
                }
            }
            Event::Ready(_) => context.interrupts.check()?,
            Event::Deadline if patience.counted(|| session.cpu_time()) < limit => {}
            Event::Deadline | Event::Ended(_) => {
                let last = transcript.lines().last().map_or("nothing", |line| line.text.as_str());
                let complaint = session.complaint().unwrap_or_else(|| format!("the last line is: {last}"));
                return Err(Failure::Failed(format!("nobody has said `{begin}`; {complaint}")));
            }
        }
    }
}

/// Measures for a second. Returns bits per second, as the receiver has seen them.
fn iperf3(context: &Context, port: u16, more: &[&str]) -> Result<f64, Failure> {
    let mut command = process::command(&tools::path(tools::IPERF3)?);
    command.env("LC_ALL", "C").args(["-c", "127.0.0.1", "-t", "1", "-f", "k"]);
    command.args(["-p", &port.to_string()]).args(more);
    let mut complaint = String::new();
    // Between two tests the server of the real iperf3 does not listen for a moment.
    for _ in 0..TRIES {
        let finished = process::run(&mut command, "iperf3", &context.interrupts, &mut |_| ())?;
        let line = finished.text.lines().find(|line| line.trim_end().ends_with("receiver"));
        if let Some(rate) = line.and_then(|line| rate(line, "Kbits/sec")) {
            return Ok(rate * 1e3);
        }
        finished.complaint().clone_into(&mut complaint);
        thread::sleep(PAUSE);
    }
    Err(Failure::Failed(format!("the host's iperf3 cannot measure the domain: {complaint}")))
}

/// The number before a unit.
pub(super) fn rate(line: &str, unit: &str) -> Option<f64> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let place = words.iter().position(|word| *word == unit)?;
    words.get(place.checked_sub(1)?)?.parse().ok()
}

/// The medians, by name.
fn named<const N: usize>(all: [(&str, &Vec<f64>); N]) -> Figures {
    all.into_iter().filter_map(|(name, figures)| Some((name.to_owned(), median(figures)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_rates_of_both_iperfs() {
        let ours = "2.00 sec  533.5 MBytes  2237 Mbits/sec  sent";
        assert_eq!(rate(ours, "Mbits/sec"), Some(2237.0));
        let theirs = "[  5]   0.00-1.00   sec   697 MBytes  1167411 Kbits/sec                  receiver";
        assert_eq!(rate(theirs, "Kbits/sec"), Some(1_167_411.0));
        assert_eq!(rate("Kbits/sec", "Kbits/sec"), None);
    }

    #[test]
    fn what_was_not_measured_has_no_name() {
        assert!(named([("x", &Vec::new())]).is_empty());
        assert_eq!(named([("x", &vec![3.0, 1.0, 2.0])])["x"], 2.0);
    }
}
