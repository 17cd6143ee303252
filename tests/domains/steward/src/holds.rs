//! Holds a server and its client, and sees by their CPU time that they stand still.

use core::time::Duration;

use builder_api::{
    GATE, ManageError, State,
    manage::{Client, Refusal},
};
use cloison_abi::Name;
use cloison_ipc::Failure as Told;
use cloison_rt::{log, time::sleep};

use crate::{Count, Failure, say};

/// For how long a domain is watched.
const WATCHED: Duration = Duration::from_millis(20);

struct Pair {
    builder: Client,
    server: Name,
    client: Name,
}

/// `SERVER CLIENT LIVES`.
pub fn run<'a>(mut words: impl Iterator<Item = &'a str>) -> Result<(), Failure> {
    let mut name = || words.next().and_then(Name::new).ok_or(Failure::Plan("no domain is named"));
    let (server, client) = (name()?, name()?);
    let lives = words.next().and_then(|text| text.parse().ok()).ok_or(Failure::Plan("no number of lives"))?;
    let pair = Pair { builder: Client::find(GATE)?, server, client };
    pair.hold_the_server()?;
    pair.hold_the_client()?;
    pair.kill_the_server()?;
    pair.many_lives(lives)
}

impl Pair {
    fn start(&self) -> Result<(), Failure> {
        self.builder.start(self.server)?;
        self.builder.start(self.client)?;
        self.wait_until_it_works()
    }

    /// For how long a domain has had the CPU.
    fn cpu(&self, name: Name) -> Result<u64, ManageError> {
        self.builder.info(name).map(|about| about.cpu_us)
    }

    /// The client pays for what its server does, and so it does more and more.
    fn wait_until_it_works(&self) -> Result<(), Failure> {
        let before = self.cpu(self.client)?;
        while self.cpu(self.client)? < before + 1000 {
            sleep(WATCHED);
        }
        Ok(())
    }

    /// Whether neither has the CPU for a while.
    fn stand_still(&self) -> Result<bool, Failure> {
        let before = (self.cpu(self.server)?, self.cpu(self.client)?);
        sleep(WATCHED);
        Ok((self.cpu(self.server)?, self.cpu(self.client)?) == before)
    }

    fn hold_the_server(&self) -> Result<(), Failure> {
        say("let go what was not started", self.builder.resume(self.server));
        say("hold what was not started", self.builder.pause(self.server));
        self.start()?;
        say("let go what is not held", self.builder.resume(self.server));
        let waiting = self.builder.pause(self.server)?.waiting;
        log!("{} is {}; who waits for it: {waiting:#b}", self.server, self.builder.info(self.server)?.state);
        log!("its client stands still with it: {}", self.stand_still()?);
        say("hold it again", self.builder.pause(self.server));
        say("shut it down", self.builder.shutdown(self.server));
        say("start it", self.builder.start(self.server));
        self.builder.resume(self.server)?;
        self.wait_until_it_works()?;
        log!("{} is {}, and its client works again", self.server, self.builder.info(self.server)?.state);
        Ok(())
    }

    fn hold_the_client(&self) -> Result<(), Failure> {
        self.builder.pause(self.client)?;
        // A call that is under way comes to its end first.
        sleep(WATCHED);
        log!("{} is held, and stands still: {}", self.client, self.stand_still()?);
        self.builder.resume(self.client)?;
        self.wait_until_it_works()?;
        log!("{} works again", self.client);
        Ok(())
    }

    /// The client is told that its server has failed; it gives up.
    fn kill_the_server(&self) -> Result<(), Failure> {
        self.builder.pause(self.server)?;
        self.builder.kill(self.server)?;
        while self.builder.info(self.client)?.state == State::Running {
            sleep(WATCHED);
        }
        let about = self.builder.info(self.client)?;
        log!("{} is {} after the end of its held server", self.client, about.state);
        say("hold what has ended", self.builder.pause(self.client));
        self.builder.kill(self.client)?;
        log!("CPU time of who has no memory: {} us", self.cpu(self.client)?);
        self.start()?;
        log!("both live again, and are not held");
        for name in [self.client, self.server] {
            self.builder.kill(name)?;
        }
        Ok(())
    }

    /// Lives that end while both are held.
    fn many_lives(&self, lives: u32) -> Result<(), Failure> {
        let before = Count::take(&self.builder)?;
        for life in 1..=lives {
            for name in [self.server, self.client] {
                self.builder.start(name)?;
            }
            sleep(Duration::from_micros(u64::from(life) * 10));
            for name in [self.client, self.server] {
                // It may have ended by itself.
                match self.builder.pause(name) {
                    Ok(_) | Err(Told::Refused(Refusal::NotAlive)) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            for name in [self.server, self.client] {
                self.builder.kill(name)?;
            }
            if Count::take(&self.builder)? != before {
                log!("life {life} has left something");
                return Err(Failure::Different);
            }
        }
        log!("{lives} lives that ended while they were held have left nothing");
        Ok(())
    }
}
