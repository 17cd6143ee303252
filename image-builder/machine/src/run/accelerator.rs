//! How QEMU carries instructions out.

use std::fs;

use crate::{Failure, interrupts::Interrupts, process, tools};

/// How instructions are carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accelerator {
    /// By the host's own CPU, if it says that it can, else by translation.
    Best,
    /// By translation, with a clock that advances by exactly one nanosecond per instruction: runs are
    /// repeatable.
    Counted,
    /// The same with eight nanoseconds, about as fast as translation is; and time in which the machine has nothing to do
    /// passes as on the host, so that it can wait for programs there.
    Paced,
    /// As if counted, and each instruction is a block of its own, so that QEMU's log has a line for each.
    Stepped(Stepping),
}

/// How QEMU is told to make a block of each instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stepping {
    /// A property of the accelerator, since QEMU 8.1.
    Property,
    /// A switch of its own, which QEMU 10 has no more.
    Switch,
}

impl Accelerator {
    /// QEMU's arguments.
    pub(super) fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Counted => &["-accel", "tcg", "-icount", "shift=0,sleep=off"],
            Self::Paced => &["-accel", "tcg", "-icount", "shift=3,sleep=on"],
            Self::Stepped(Stepping::Property) => {
                &["-accel", "tcg,one-insn-per-tb=on", "-icount", "shift=0,sleep=off"]
            }
            Self::Stepped(Stepping::Switch) => {
                &["-accel", "tcg", "-singlestep", "-icount", "shift=0,sleep=off"]
            }
            Self::Best if host_can_virtualise() => &["-accel", "kvm", "-accel", "tcg"],
            Self::Best => &["-accel", "tcg", "-rtc", "base=utc"],
        }
    }
}

impl Stepping {
    /// Asks the QEMU of this machine.
    ///
    /// # Errors
    ///
    /// When it cannot be started, or knows no way.
    pub fn ask(interrupts: &Interrupts) -> Result<Self, Failure> {
        let mut command = process::command(&tools::path(tools::QEMU)?);
        let help = process::run(command.arg("-help"), "QEMU", interrupts, &mut |_| ())?;
        Self::of_help(&help.text).ok_or_else(|| {
            Failure::Environment("this QEMU cannot log each instruction: its help names no way".into())
        })
    }

    /// What the text of `-help` names.
    fn of_help(text: &str) -> Option<Self> {
        let names = |begin: &str| text.lines().any(|line| line.trim_start().starts_with(begin));
        if names("one-insn-per-tb=") {
            Some(Self::Property)
        } else {
            names("-singlestep ").then_some(Self::Switch)
        }
    }
}

/// Whether the host's CPU says that it has virtualisation. That `/dev/kvm` exists does not say so, and using
/// it may hang.
fn host_can_virtualise() -> bool {
    let about = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let flags = about.lines().find(|line| line.starts_with("flags")).unwrap_or_default();
    flags.split_whitespace().any(|flag| flag == "vmx" || flag == "svm")
}

#[cfg(test)]
mod tests {
    use std::{io::Write, process::Stdio};

    use super::*;
    use crate::process::Child;

    /// Lines of the help of QEMU 7.2, of 8.2, which has both, and of 10.0.
    const SWITCH: &str = "-accel [accel=]accelerator[,prop[=value][,...]]\n                split-wx=on|off (enable)\n\
                          -singlestep     always run in singlestep mode\n";
    const BOTH: &str = "                one-insn-per-tb=on|off (one guest instruction per TCG translation block)\n\
                        -singlestep     deprecated synonym for -accel tcg,one-insn-per-tb=on\n";
    const PROPERTY: &str =
        "                one-insn-per-tb=on|off (one guest instruction per TCG translation block)\n";

    #[test]
    fn takes_the_way_that_qemu_names() {
        assert_eq!(Stepping::of_help(SWITCH), Some(Stepping::Switch));
        assert_eq!(Stepping::of_help(BOTH), Some(Stepping::Property));
        assert_eq!(Stepping::of_help(PROPERTY), Some(Stepping::Property));
        assert_eq!(Stepping::of_help("-S              freeze CPU at startup\n"), None);
    }

    #[test]
    fn the_qemu_of_this_machine_names_a_way_and_takes_it() {
        let interrupts = Interrupts::none().unwrap();
        tools::require(&[tools::QEMU], &crate::progress::Progress::silent(), &interrupts).unwrap();
        let stepping = Stepping::ask(&interrupts).unwrap();
        let mut command = process::command(&tools::path(tools::QEMU).unwrap());
        command.args(["-nodefaults", "-display", "none", "-machine", "none", "-monitor", "stdio"]);
        command.args(Accelerator::Stepped(stepping).arguments()).stdin(Stdio::piped()).stdout(Stdio::null());
        let mut qemu = Child::start(&mut command, "QEMU").unwrap();
        qemu.pipes().stdin.unwrap().write_all(b"quit\n").unwrap();
        assert!(qemu.wait().unwrap().success(), "{stepping:?} is not understood");
    }
}
