use core::cell::RefCell;
use std::{borrow::ToOwned, format, string::ToString, vec};

use cloison_abi::CallError;
use cloison_ipc::{Badge, Message};

use super::*;
use crate::{
    DIGEST_BYTES,
    manage::{
        self, About, Asked, Belongs, Contents, Crash, Grouped, Guested, Held, Hindered, ImageSet, Killed,
        Measured, Memory, Offered, Owned, Restored, Resumed, Returns, Runs, Saved, Server, Started,
    },
};

extern crate std;

mod desk;
mod guests;
mod saved;

fn named(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// Managed domains, each with its state, behind a gate.
struct Domains(RefCell<World>);

struct World {
    domains: Vec<(Name, State)>,
    refusal: Option<Refusal>,
    /// Looks after which a domain has done what it was asked.
    looks_until_end: u32,
    is_asked: bool,
    /// Who waits for one that is held, and how often each was refused.
    waiting: u32,
    refusals: u32,
    /// What each guest can have; 0: they are none.
    most_mib: u32,
    /// A guest that this client may not start.
    kept_from: Option<Name>,
    /// Whether this client may not list what domains can be started with.
    hides_images: bool,
    /// What keeps a domain from being saved, and whose it is, if that is told.
    hindrance: Option<[&'static str; 2]>,
    /// Calls that come to nothing before one does not.
    lost_calls: u32,
}

impl Transport for Domains {
    fn call(&self, message: Message) -> Result<Message, CallError> {
        let mut world = self.0.borrow_mut();
        if world.lost_calls > 0 {
            world.lost_calls -= 1;
            return Err(CallError::Denied);
        }
        drop(world);
        Ok(manage::answer(&mut *self.0.borrow_mut(), Badge(0), message))
    }
}

impl World {
    fn turn(&mut self, domain: Name, from: State, to: State, why: Refusal) -> Result<(), Refusal> {
        if let Some(refusal) = self.refusal {
            return Err(refusal);
        }
        let one = self.domains.iter_mut().find(|(name, _)| *name == domain).ok_or(Refusal::Unknown)?;
        if one.1 != from {
            return Err(why);
        }
        one.1 = to;
        Ok(())
    }
}

impl Server for World {
    fn entry(&mut self, _: Badge, place: u8) -> Result<Listed, Refusal> {
        let (name, state) = *self.domains.get(usize::from(place)).ok_or(Refusal::Unknown)?;
        let is_managed = name.as_str() != "console";
        Ok(Listed { name, state, is_managed, lives: 1, kib: if is_managed { 316 } else { 0 }, cpu_ms: 42 })
    }

    fn info(&mut self, _: Badge, domain: Name) -> Result<About, Refusal> {
        if self.is_asked {
            if self.looks_until_end == 0 {
                self.domains.iter_mut().for_each(|one| one.1 = State::Ended);
            }
            self.looks_until_end = self.looks_until_end.saturating_sub(1);
        }
        let (_, state) = *self.domains.iter().find(|(name, _)| *name == domain).ok_or(Refusal::Unknown)?;
        let is_managed = domain.as_str() != "console";
        Ok(About { state, is_managed, lives: 2, kib: 316, code: 7, cpu_us: 42_007, refusals: self.refusals })
    }

    fn program(&mut self, _: Badge, domain: Name) -> Result<Runs, Refusal> {
        Ok(Runs { image: domain, digest: [0xab; DIGEST_BYTES] })
    }

    fn measure(&mut self, _: Badge, _: Name) -> Result<Measured, Refusal> {
        Err(Refusal::Failed)
    }

    fn fault(&mut self, _: Badge, domain: Name) -> Result<Crash, Refusal> {
        let is_faulted = self.domains.contains(&(domain, State::Faulted));
        let crash = Crash { kind: FaultKind::ReadDenied as u32, code: 0, instruction: 0x401097, address: 8 };
        is_faulted.then_some(crash).ok_or(Refusal::NotFaulted)
    }

    fn registers(&mut self, _: Badge, _: Name, first: u8) -> Result<Contents, Refusal> {
        let first = u64::from(first);
        Ok(Contents { a: first, b: first + 1, c: first + 2, d: first + 3 })
    }

    fn callers(&mut self, _: Badge, _: Name, first: u8) -> Result<Returns, Refusal> {
        let address = 0x40_1000 + u64::from(first);
        // Behind the sixth there is none.
        let second = if first == 0 { [0x40_1200, 0x40_1300] } else { [0, 0] };
        Ok(Returns { a: address, b: 0x40_1100, c: second[0], d: second[1] })
    }

    fn parts(&mut self, _: Badge, place: u8) -> Result<Owned, Refusal> {
        let place = u32::from(place);
        Ok(Owned { threads: 1, pages: 20 + place, interrupts: u32::from(place == 0), ports: 8 * place })
    }

    fn budget(&mut self, _: Badge) -> Result<Memory, Refusal> {
        Ok(Memory { total_kib: 1024, free_kib: 300, largest_kib: 200 })
    }

    fn set_image(&mut self, _: Badge, _: Name, image: Name) -> Result<ImageSet, Refusal> {
        (image.as_str() == "stpm-old").then_some(ImageSet {}).ok_or(Refusal::UnknownImage)
    }

    fn start(&mut self, _: Badge, domain: Name) -> Result<Started, Refusal> {
        self.turn(domain, State::Defined, State::Running, Refusal::IsStarted)?;
        Ok(Started { kib: 316, digest: [0xab; DIGEST_BYTES] })
    }

    fn image(&mut self, _: Badge, domain: Name, place: u8) -> Result<Offered, Refusal> {
        if self.hides_images {
            return Err(Refusal::NotAllowed);
        }
        let images = [("vmlinux", 43), ("vmlinux-old", 30)];
        let offers = match domain.as_str() {
            "stpm" => &images[..],
            // It has its program alone.
            "console" => &[],
            _ => &images[..1],
        };
        let (image, least_mib) = *offers.get(usize::from(place)).ok_or(Refusal::UnknownImage)?;
        Ok(Offered { image: named(image), least_mib, most_mib: self.most_mib })
    }

    fn start_guest(&mut self, _: Badge, domain: Name, image: u8, mib: u32) -> Result<Guested, Refusal> {
        if self.kept_from == Some(domain) {
            return Err(Refusal::NotAllowed);
        }
        self.turn(domain, State::Defined, State::Running, Refusal::IsStarted)?;
        Ok(Guested { kib: mib * 1024 + 316, digest: [image; DIGEST_BYTES] })
    }

    fn shutdown(&mut self, _: Badge, domain: Name) -> Result<Asked, Refusal> {
        self.turn(domain, State::Running, State::Running, Refusal::NotAlive)?;
        self.is_asked = true;
        Ok(Asked {})
    }

    fn kill(&mut self, _: Badge, domain: Name) -> Result<Killed, Refusal> {
        self.turn(domain, State::Running, State::Defined, Refusal::IsDefined)?;
        Ok(Killed {})
    }

    fn pause(&mut self, _: Badge, domain: Name) -> Result<Held, Refusal> {
        self.turn(domain, State::Running, State::Paused, Refusal::IsPaused)?;
        Ok(Held { waiting: self.waiting })
    }

    fn resume(&mut self, _: Badge, domain: Name) -> Result<Resumed, Refusal> {
        self.turn(domain, State::Paused, State::Running, Refusal::NotPaused)?;
        Ok(Resumed {})
    }

    fn save(&mut self, _: Badge, domain: Name) -> Result<Saved, Refusal> {
        self.turn(domain, State::Paused, State::Saved, Refusal::HasClients).map(|()| Saved { kib: 316 })
    }

    fn restore(&mut self, _: Badge, domain: Name) -> Result<Restored, Refusal> {
        self.turn(domain, State::Saved, State::Running, Refusal::NotSaved)?;
        Ok(Restored { kib: 316, digest: [0xab; DIGEST_BYTES] })
    }

    fn hindrance(&mut self, _: Badge, _: Name) -> Result<Hindered, Refusal> {
        let [what, whose] = self.hindrance.ok_or(Refusal::NotAllowed)?.map(|name| Name::new(name).unwrap());
        Ok(Hindered { what, whose })
    }

    fn group(&mut self, _: Badge, place: u8) -> Result<Grouped, Refusal> {
        (place == 0).then_some(Grouped { name: named("ipcmon_test") }).ok_or(Refusal::UnknownGroup)
    }

    fn member(&mut self, _: Badge, group: Name, place: u8) -> Result<Belongs, Refusal> {
        let members = ["stpm", "tpmdemo"].map(named);
        let member = members.get(usize::from(place)).filter(|_| group.as_str() == "ipcmon_test");
        Ok(Belongs { domain: *member.ok_or(Refusal::UnknownGroup)? })
    }
}

use cloison_abi::FaultKind;

/// What is shown, and how long it took.
#[derive(Default)]
struct Screen {
    lines: Vec<String>,
    milliseconds: u32,
}

impl Around for Screen {
    fn line(&mut self, text: fmt::Arguments<'_>) {
        self.lines.push(text.to_string());
    }

    fn rest(&mut self, milliseconds: u32) {
        self.milliseconds += milliseconds;
    }
}

fn world(stpm: State, tpmdemo: State) -> Domains {
    let domains =
        vec![(named("console"), State::Running), (named("stpm"), stpm), (named("tpmdemo"), tpmdemo)];
    let world = World {
        domains,
        refusal: None,
        looks_until_end: 0,
        is_asked: false,
        waiting: 0,
        refusals: 0,
        most_mib: 0,
        kept_from: None,
        hides_images: false,
        hindrance: None,
        lost_calls: 0,
    };
    Domains(RefCell::new(world))
}

fn type_at(world: &Domains, line: &str) -> (Status, Vec<String>) {
    let mut screen = Screen::default();
    let status = carry_out(line, &Client::new(world), &mut screen);
    (status, screen.lines)
}

fn done(world: &Domains, line: &str, shown: &[&str]) {
    assert_eq!(type_at(world, line), (Status::Done, lines(shown)), "{line}");
}

fn lines(shown: &[&str]) -> Vec<String> {
    shown.iter().map(|line| (*line).to_owned()).collect()
}

#[test]
fn a_domain_goes_through_its_life() {
    let world = world(State::Defined, State::Defined);
    done(
        &world,
        "--start stpm",
        &["(bmilib) get_data(stpm$)", "stpm: running, 316 KiB, program abababababababab..."],
    );
    done(
        &world,
        "--list",
        &[
            " id  domain            state          memory          CPU",
            "  2  console           at boot             -            -",
            "  3  stpm              running       316 KiB        42 ms",
            "  4  tpmdemo           defined       316 KiB        42 ms",
        ],
    );
    done(&world, "--pause stpm", &["stpm: paused"]);
    done(&world, "--resume stpm", &["stpm: goes on"]);
    done(&world, "--set-image stpm stpm-old", &["stpm: is started with stpm-old from now on"]);
    done(&world, "--kill stpm", &["stpm: killed, its memory is free"]);
    done(&world, "--version", &["bmic 0.1.0"]);
    assert_eq!(type_at(&world, "--help"), (Status::Done, MANUAL.lines().collect()));
}

#[test]
fn who_waits_for_a_domain_that_is_held_is_named() {
    let world = world(State::Running, State::Running);
    world.0.borrow_mut().waiting = 0b101;
    done(&world, "--pause stpm", &["stpm: paused", "  waiting until stpm goes on: console, tpmdemo"]);
    let twice = "bmic: stpm is paused: it is held, and was not let go since; nothing was done";
    assert_eq!(type_at(&world, "--pause stpm"), (Status::Failed, lines(&[twice])));
    // Without the right to list them.
    let hidden = World { domains: Vec::new(), ..world.0.into_inner() };
    let hidden = Domains(RefCell::new(hidden));
    let mut screen = Screen::default();
    let client = Client::new(&hidden);
    let mut session = Session { bmi: &client, around: &mut screen };
    session.tell_waiting(named("stpm"), 0b101);
    assert_eq!(screen.lines, lines(&["  2 that have called stpm wait until it goes on"]));
}

#[test]
fn refusals_are_counted() {
    let world = world(State::Running, State::Defined);
    world.0.borrow_mut().refusals = 3;
    let (_, shown) = type_at(&world, "--info stpm");
    assert_eq!(shown[3], "  refused   3 times, by the policy");
}

#[test]
fn more_is_shown_on_request() {
    let world = world(State::Ended, State::Faulted);
    done(
        &world,
        "--list -v",
        &[
            " id  domain            state          memory          CPU lives  image             program",
            "  2  console           at boot             -            -",
            "  3  stpm              ended         316 KiB        42 ms     1  stpm              abababababababab...",
            "  4  tpmdemo           faulted       316 KiB        42 ms     1  tpmdemo           abababababababab...",
            " id  domain            threads    pages  interrupts  ports",
            "  2  console                 1       20           1      0",
            "  3  stpm                    1       21           0      8",
            "  4  tpmdemo                 1       22           0     16",
        ],
    );
    done(
        &world,
        "--budget",
        &[
            "budget: 1024 KiB, used 724, free 300, of that 200 in one piece",
            "  stpm                  316 KiB",
            "  tpmdemo               316 KiB",
        ],
    );
    done(
        &world,
        "--info stpm",
        &[
            "stpm: ended with code 7; lives ended: 2",
            "  memory    316 KiB",
            "  CPU       42.007 ms",
            "  program   stpm, SHA-256 abababababababab...",
        ],
    );
    let (status, shown) = type_at(&world, "--info tpmdemo");
    assert_eq!(status, Status::Done);
    assert_eq!(
        shown[4..6],
        [
            "  faulted: read of 0x8, which it may not read, at instruction 0x401097",
            "   rax 0000000000000000    rcx 0000000000000001    rdx 0000000000000002    rbx 0000000000000003",
        ]
    );
    assert_eq!(shown[9], "   rip 0000000000000010 rflags 0000000000000011");
    assert_eq!(shown[10..], ["  called from 0x401000 0x401100 0x401200 0x401300 0x401004 0x401100"]);
}

#[test]
fn a_group_is_started_in_its_order_up_to_one_that_does_not_start() {
    let all = world(State::Defined, State::Defined);
    let (status, shown) = type_at(&all, "--start ipcmon_test.cfg");
    assert_eq!((status, shown.len()), (Status::Done, 4));
    assert_eq!(shown[3], "tpmdemo: running, 316 KiB, program abababababababab...");
    let first_runs = world(State::Running, State::Defined);
    assert_eq!(
        type_at(&first_runs, "--start ipcmon_test.cfg"),
        (
            Status::Failed,
            lines(&[
                "(bmilib) get_data(stpm$)",
                "bmic: stpm is running: it was started before, and not killed since; nothing was done",
            ])
        )
    );
    assert_eq!(first_runs.0.borrow().domains[2].1, State::Defined);
    let misspelt = "bmic: there is no group `ipcmon_tset`; did you mean `ipcmon_test`?";
    assert_eq!(type_at(&all, "--start ipcmon_tset.cfg"), (Status::Usage, lines(&[misspelt])));
}

#[test]
fn what_is_refused_is_explained() {
    let world = world(State::Running, State::Defined);
    let cases = [
        ("--start stmp", Status::Usage, "bmic: there is no domain `stmp`; did you mean `stpm`?"),
        ("--kill nobody", Status::Usage, "bmic: there is no domain `nobody`; bmic --list names them"),
        (
            "--start ipcmon_test",
            Status::Usage,
            "bmic: there is no domain `ipcmon_test`; it is a group: bmic --start ipcmon_test.cfg",
        ),
        ("--info xyz", Status::Usage, "bmic: there is no domain `xyz`; bmic --list names them"),
        ("--kill tpmdemo", Status::Failed, "bmic: tpmdemo is defined: it was not started; nothing was done"),
        ("--resume stpm", Status::Failed, "bmic: stpm is running: it is not paused; nothing was done"),
        (
            "--set-image stpm new",
            Status::Usage,
            "bmic: the manifest names no image `new` for stpm; it can be started with vmlinux, vmlinux-old",
        ),
        (
            "--set-image stpm vmlinux-odl",
            Status::Usage,
            "bmic: the manifest names no image `vmlinux-odl` for stpm; did you mean `vmlinux-old`?",
        ),
        (
            "--set-image console new",
            Status::Usage,
            "bmic: the manifest names no image `new` for console; it can be started with console",
        ),
        ("--lits", Status::Usage, "bmic: there is no option `--lits`; did you mean `--list`?"),
    ];
    for (line, status, message) in cases {
        let (found, shown) = type_at(&world, line);
        assert_eq!((found, shown.last().unwrap().as_str()), (status, message), "{line}");
    }
    // To a client that may not list them none is proposed.
    world.0.borrow_mut().hides_images = true;
    let hidden =
        "bmic: the manifest names no image `vmlinux-odl` for stpm; the manifest says which there are";
    assert_eq!(type_at(&world, "--set-image stpm vmlinux-odl"), (Status::Usage, lines(&[hidden])));
}

#[test]
fn too_little_memory_is_accounted_for() {
    let world = world(State::Defined, State::Running);
    world.0.borrow_mut().refusal = Some(Refusal::NoPiece);
    assert_eq!(
        type_at(&world, "--start stpm"),
        (
            Status::Failed,
            lines(&[
                "(bmilib) get_data(stpm$)",
                "bmic: stpm needs 316 KiB: enough memory of the budget is free, but not in one piece; nothing was done",
                "budget: 1024 KiB, used 724, free 300, of that 200 in one piece",
                "  tpmdemo               316 KiB",
            ])
        )
    );
}

/// A monitor that has not answered yet, or a server that begins another life, makes no list shorter.
#[test]
fn a_call_that_comes_to_nothing_is_made_again() {
    let all = world(State::Running, State::Running);
    let whole = type_at(&all, "--list");
    for lost in [1, 5] {
        all.0.borrow_mut().lost_calls = lost;
        assert_eq!(type_at(&all, "--list"), whole, "{lost}");
    }
    all.0.borrow_mut().lost_calls = u32::MAX;
    let (status, shown) = type_at(&all, "--list");
    assert_eq!((status, shown), (Status::Failed, lines(&["bmic: the policy forbids it"])));
    let tries = u32::MAX - all.0.borrow().lost_calls;
    assert!((2..20).contains(&tries), "{tries} calls, and then it is said");
}

#[test]
fn a_shutdown_waits_and_names_who_goes_on() {
    for (looks_until_end, seconds, status, message, waited) in [
        (0, 5, Status::Done, "stpm: ended with code 7", 0),
        (3, 5, Status::Done, "stpm: ended with code 7", 300),
        (21, 2, Status::Failed, "bmic: stpm has not ended within 2 s, and goes on", 2000),
        (1, 0, Status::Failed, "bmic: stpm has not ended within 0 s, and goes on", 0),
    ] {
        let world = world(State::Running, State::Running);
        world.0.borrow_mut().looks_until_end = looks_until_end;
        let mut screen = Screen::default();
        let found = carry_out(&format!("--shutdown stpm {seconds}"), &Client::new(&world), &mut screen);
        assert_eq!((found, screen.lines, screen.milliseconds), (status, lines(&[message]), waited));
    }
}
