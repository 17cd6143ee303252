//! A debugger, gdb, with this program in its hands.

use std::{
    env, process,
    process::{Command, Stdio},
};

/// The sum of all that was added.
#[unsafe(no_mangle)]
static mut TOTAL: u64 = 0;

/// What the debugger is told. It finds the names of functions and variables, and no more.
const SCRIPT: [&str; 32] = [
    "break add",
    "run",
    "backtrace 2",
    "print (long)TOTAL",
    "print $rdi",
    "stepi",
    "x/i $pc",
    "finish",
    "print (long)TOTAL",
    "delete",
    "set can-use-hw-watchpoints 0",
    "watch *(long*)&TOTAL",
    "continue",
    "backtrace 2",
    "delete",
    "set can-use-hw-watchpoints 1",
    "watch *(long*)&TOTAL",
    "continue",
    "continue",
    "delete",
    "awatch *(long*)&TOTAL",
    "continue",
    "delete",
    "hbreak add",
    "continue",
    "delete",
    "tbreak add",
    "continue",
    "set var *(long*)&TOTAL = 40",
    "print $_siginfo.si_signo",
    "info registers rip rdi eflags cs ss",
    "continue",
];

/// Lets gdb start this program, and repeats what it says: of a program that stops, is looked at and changed, and goes on.
pub fn debugger() {
    let program = env::current_exe().expect("/proc is there");
    let mut command = Command::new("gdb");
    command.args(["-nx", "-q", "-batch"]).args(SCRIPT.iter().flat_map(|line| ["-ex", line]));
    command.arg("--args").arg(program).arg("debugged").stdin(Stdio::null());
    let finished = command.output().expect("gdb can be started");
    for said in [&finished.stdout, &finished.stderr] {
        let said = String::from_utf8_lossy(said).replace('\t', " ");
        said.lines().filter(|line| !line.is_empty()).for_each(|line| println!("gdb: {line}"));
    }
    println!("gdb: {}", finished.status);
}

/// What is debugged: its exit code is what it has added up.
pub fn debugged() -> ! {
    add_all(8);
    // SAFETY: nothing else runs.
    process::exit(unsafe { (&raw const TOTAL).read_volatile() } as i32)
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn add_all(last: u64) {
    (1..=last).for_each(|number| add(number));
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn add(number: u64) {
    // SAFETY: nothing else runs.
    unsafe {
        let total = &raw mut TOTAL;
        total.write_volatile(total.read_volatile() + number);
    }
}
