//! DHCP servers of all makes, and what a stack makes of them.

use std::{net::SocketAddrV4, time::Duration};

use cloison_net::{Config, Net, UdpSocket};
use cloison_rt::task::select;

use crate::world::{Faults, World, host};

const SECOND: Duration = Duration::from_secs(1);
/// Kinds of messages (RFC 2132, section 9.6).
const DISCOVER: u8 = 1;
const OFFER: u8 = 2;
const REQUEST: u8 = 3;
const ACKNOWLEDGE: u8 = 5;
const REFUSE: u8 = 6;

const MASK: &[u8] = &[1, 4, 255, 255, 255, 0];
const ROUTER: &[u8] = &[3, 4, 10, 0, 0, 1];
const SERVER: &[u8] = &[54, 4, 10, 0, 0, 1];
const OTHER_SERVER: &[u8] = &[54, 4, 10, 0, 0, 9];
const AN_HOUR: &[u8] = &[51, 4, 0, 0, 14, 16];

/// What a client has said: the kind of message, and all of it.
struct Said(u8, Vec<u8>);

impl Said {
    fn option(&self, number: u8) -> Option<&[u8]> {
        let mut options = &self.1[240..];
        while let [kind, length, rest @ ..] = options {
            let (value, rest) = rest.split_at(usize::from(*length));
            if *kind == number {
                return Some(value);
            }
            options = rest;
        }
        None
    }

    /// An answer: with an address, or none for 0.
    fn answer(&self, kind: u8, address: u8, options: &[&[u8]]) -> Vec<u8> {
        let mut reply = self.1[..240].to_vec();
        reply[0] = 2;
        if address != 0 {
            reply[16..20].copy_from_slice(&host(address).octets());
        }
        reply.extend([53, 1, kind]);
        reply.extend(options.concat());
        reply.push(255);
        reply
    }
}

/// Runs a client and a server that answers as `script` says, until `main` ends. Returns how many messages the
/// client has sent.
fn serve(mut script: impl FnMut(&Said) -> Vec<Vec<u8>>, main: impl AsyncFn(&Net)) -> usize {
    let world = World::new(Faults::default(), 1);
    let (client, server) = (world.net(0, 1500, Config::default()), world.net(1, 1500, Config::default()));
    let mut count = 0;
    let counted = |said: &Said| {
        count += 1;
        script(said)
    };
    world.run(&[&client, &server], select(main(&client), answer(&server, counted)));
    count
}

/// Answers whatever a server hears as `script` says.
async fn answer(server: &Net, mut script: impl FnMut(&Said) -> Vec<Vec<u8>>) {
    let socket = UdpSocket::bind(server, 67).unwrap();
    let mut message = [0; 1024];
    loop {
        let (length, from) = socket.receive_from(&mut message).await.unwrap();
        let said = Said(0, message[..length].to_vec());
        let said = Said(said.option(53).unwrap()[0], said.1);
        let to = if from.ip().is_unspecified() { [255; 4].into() } else { *from.ip() };
        for answer in script(&said) {
            socket.send_to(&answer, SocketAddrV4::new(to, 68)).await.unwrap();
        }
    }
}

fn willing(said: &Said) -> Vec<Vec<u8>> {
    let kind = if said.0 == DISCOVER { OFFER } else { ACKNOWLEDGE };
    vec![said.answer(kind, 42, &[SERVER, AN_HOUR, MASK, ROUTER])]
}

async fn has_address(client: &Net) {
    let addresses = client.within(20 * SECOND, client.configured()).await.expect("an address");
    assert_eq!((addresses.address, addresses.prefix_bits), (host(42), 24));
}

#[test]
fn a_lease_gives_the_address() {
    serve(willing, async |client| {
        assert_eq!(client.addresses(), None);
        has_address(client).await;
        assert_eq!(client.ping(host(1), SECOND, |_| ()).await, Ok(1));
    });
}

#[test]
fn a_refusal_by_another_server_is_its_own_affair() {
    let script = |said: &Said| {
        let mut answers = vec![said.answer(REFUSE, 0, &[OTHER_SERVER])];
        answers.extend(willing(said));
        answers
    };
    serve(script, has_address);
}

/// A server that offers and then refuses, or leases for no time: it is asked again, in growing intervals.
#[test]
fn who_always_refuses_is_asked_less_and_less() {
    let no_time = &[51, 4, 0, 0, 0, 0][..];
    for second in [(REFUSE, AN_HOUR), (ACKNOWLEDGE, no_time)] {
        let script = |said: &Said| {
            let (kind, time) = if said.0 == DISCOVER { (OFFER, AN_HOUR) } else { second };
            vec![said.answer(kind, 42, &[SERVER, time, MASK])]
        };
        let messages = serve(script, async |client: &Net| client.sleep(600 * SECOND).await);
        assert!((10..60).contains(&messages), "{messages} messages in ten minutes");
    }
}

#[test]
fn an_absent_server_is_asked_less_and_less() {
    let messages = serve(|_| Vec::new(), async |client: &Net| client.sleep(600 * SECOND).await);
    assert!((8..20).contains(&messages), "{messages} messages in ten minutes");
}

/// What a server leaves out of its acknowledgement was in its offer, or in its last one, or has a default.
#[test]
fn what_a_server_leaves_out_is_no_reason_to_refuse_it() {
    let offers: [&[&[u8]]; 3] = [&[SERVER, AN_HOUR, MASK], &[SERVER, MASK], &[MASK]];
    let answers: [&[&[u8]]; 4] = [&[SERVER, AN_HOUR, MASK], &[SERVER, AN_HOUR], &[SERVER], &[]];
    for offer in offers {
        for answer in answers {
            let script = |said: &Said| match said.0 {
                DISCOVER => vec![said.answer(OFFER, 42, offer)],
                _ => vec![said.answer(ACKNOWLEDGE, 42, answer)],
            };
            serve(script, has_address);
        }
    }
}

/// Over many renewals, by servers of several makes, the address is never lost.
#[test]
fn a_renewal_keeps_the_address() {
    let renewals: [&[&[u8]]; 5] =
        [&[SERVER, AN_HOUR, MASK, ROUTER], &[SERVER, AN_HOUR], &[SERVER], &[], &[OTHER_SERVER, AN_HOUR]];
    for renewal in renewals {
        for address in [42, 0] {
            let script = |said: &Said| match (said.0, said.option(50)) {
                (REQUEST, None) => vec![said.answer(ACKNOWLEDGE, address, renewal)],
                _ => willing(said),
            };
            let messages = serve(script, async |client: &Net| {
                has_address(client).await;
                for _ in 0..240 {
                    client.sleep(60 * SECOND).await;
                    assert_eq!(client.addresses().map(|known| known.address), Some(host(42)));
                }
            });
            assert!((4..40).contains(&messages), "{messages} messages in four hours");
        }
    }
}

/// A relay passes on what all hear; the server behind it is asked by the address that it names (RFC 2132, section 9.7).
#[test]
fn a_server_behind_a_relay_is_asked_itself_for_more_time() {
    let world = World::new(Faults::default(), 1);
    let [client, relay, server] = [0, 1, 9].map(|host| world.net(host, 1500, Config::default()));
    let has_address_already = |said: &Said| said.1[12..16] != [0; 4];
    let lease = |said: &Said| {
        let kind = if said.0 == DISCOVER { OFFER } else { ACKNOWLEDGE };
        vec![said.answer(kind, 42, &[OTHER_SERVER, AN_HOUR, MASK])]
    };
    let relayed = |said: &Said| if has_address_already(said) { Vec::new() } else { lease(said) };
    let mut renewals = 0;
    let asked = |said: &Said| {
        let is_renewal = has_address_already(said);
        renewals += usize::from(is_renewal);
        if is_renewal { lease(said) } else { Vec::new() }
    };
    let main = async {
        has_address(&client).await;
        client.sleep(2 * 3_000 * SECOND).await;
    };
    let servers = select(answer(&relay, relayed), answer(&server, asked));
    world.run(&[&client, &relay, &server], select(main, servers));
    assert_eq!(renewals, 3, "one each half hour");
}

/// A server that is gone: it is asked for more time, then all servers are, and then the address is given back.
#[test]
fn a_lease_that_nobody_renews_ends() {
    let mut renewals = 0;
    let script = |said: &Said| {
        let is_renewal = said.0 == REQUEST && said.option(50).is_none();
        renewals += usize::from(is_renewal && said.1[12..16] == [10, 0, 0, 42]);
        if renewals == 0 { willing(said) } else { Vec::new() }
    };
    let messages = serve(script, async |client: &Net| {
        has_address(client).await;
        client.sleep(3_599 * SECOND).await;
        assert!(client.addresses().is_some());
        client.sleep(SECOND).await;
        assert_eq!(client.addresses(), None);
    });
    assert!((8..40).contains(&renewals) && messages < 60, "{renewals} of {messages}");
}

#[test]
fn a_refused_renewal_gives_the_address_back_and_gets_another() {
    let mut refused = false;
    let script = |said: &Said| match (said.0, said.option(50)) {
        (REQUEST, None) => {
            refused = true;
            vec![said.answer(REFUSE, 0, &[SERVER])]
        }
        _ => willing(said),
    };
    serve(script, async |client: &Net| {
        has_address(client).await;
        client.sleep(1_700 * SECOND).await;
        assert!(client.addresses().is_some());
        client.sleep(101 * SECOND).await;
        has_address(client).await;
    });
    assert!(refused);
}

#[test]
fn answers_to_others_are_passed_over() {
    let script = |said: &Said| {
        let mut to_other = said.answer(OFFER, 66, &[SERVER, AN_HOUR, MASK]);
        to_other[28] ^= 1;
        let mut other_exchange = said.answer(OFFER, 66, &[SERVER, AN_HOUR, MASK]);
        other_exchange[4] ^= 1;
        let no_host = said.answer(OFFER, 0, &[SERVER, AN_HOUR, MASK]);
        let cut_short = said.answer(OFFER, 66, &[SERVER, AN_HOUR, &[1, 200]]);
        let mut answers = vec![to_other, other_exchange, no_host, cut_short[..239].to_vec()];
        answers.extend(willing(said));
        answers
    };
    serve(script, has_address);
}
