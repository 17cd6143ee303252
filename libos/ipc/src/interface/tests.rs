use core::cell::RefCell;

use cloison_abi::{Badge, CallError, Name};
use proptest::{collection::vec, prelude::*};

use crate::{
    Failure, Message, Transport,
    wire::{Bytes, Malformed},
};

crate::choice! {
    /// Which way.
    pub enum Turn {
        /// One way.
        Left,
        /// The other way.
        Right,
    }
}

crate::interface! {
    /// An interface that uses every type of field.
    pub mod sample {
        /// Why not.
        refuse Refusal {
            /// Busy.
            Busy = "another client is being served",
            /// Tired.
            Tired = "no more today",
        }
        /// Nothing in, nothing out.
        ping: Ping {} -> Pong {};
        /// Every kind of field.
        mix: Mix { a: u8, b: u16, c: u32, d: u64, on: bool, turn: Turn, raw: [u8; 3], some: Bytes<7> } -> Mixed { sum: i64 };
        /// A name there and back.
        name: SetName { name: Name } -> NameSet { old: Name, changed: bool };
        /// Refuses always.
        refuse: Refuse { tired: bool } -> Refused {};
    }
}

struct Peer {
    name: Name,
}

impl sample::Server for Peer {
    fn ping(&mut self, _client: Badge) -> Result<sample::Pong, sample::Refusal> {
        Ok(sample::Pong {})
    }

    #[allow(clippy::too_many_arguments, reason = "one of each type")]
    fn mix(
        &mut self,
        client: Badge,
        a: u8,
        b: u16,
        c: u32,
        d: u64,
        on: bool,
        turn: Turn,
        raw: [u8; 3],
        some: Bytes<7>,
    ) -> Result<sample::Mixed, sample::Refusal> {
        let sum = u64::from(a)
            + u64::from(b)
            + u64::from(c)
            + d
            + u64::from(on)
            + turn as u64
            + u64::from(client.0);
        let bytes: u64 = raw.iter().chain(some.as_slice()).map(|byte| u64::from(*byte)).sum();
        Ok(sample::Mixed { sum: -((sum + bytes) as i64) })
    }

    fn name(&mut self, _client: Badge, name: Name) -> Result<sample::NameSet, sample::Refusal> {
        let old = core::mem::replace(&mut self.name, name);
        Ok(sample::NameSet { old, changed: old != name })
    }

    fn refuse(&mut self, _client: Badge, tired: bool) -> Result<sample::Refused, sample::Refusal> {
        Err(if tired { sample::Refusal::Tired } else { sample::Refusal::Busy })
    }
}

/// Calls the server in the same thread.
struct Direct(RefCell<Peer>);

impl Transport for Direct {
    fn call(&self, message: Message) -> Result<Message, CallError> {
        Ok(sample::answer(&mut *self.0.borrow_mut(), Badge(1000), message))
    }
}

fn client() -> sample::Client<Direct> {
    sample::Client::new(Direct(RefCell::new(Peer { name: Name::default() })))
}

#[test]
fn requests_reach_the_server_and_replies_come_back() {
    let client = client();
    assert_eq!(client.ping(), Ok(sample::Pong {}));
    let some = Bytes::new(&[10, 20]).unwrap();
    let mixed = client.mix(1, 2, 3, 4, true, Turn::Right, [5, 6, 7], some);
    assert_eq!(mixed, Ok(sample::Mixed { sum: -1060 }));
    let name = Name::new("sixteen-letters!").unwrap();
    assert_eq!(client.name(name), Ok(sample::NameSet { old: Name::default(), changed: true }));
    assert_eq!(client.name(name).unwrap().old, name);
}

#[test]
fn refusals_arrive_as_declared() {
    assert_eq!(client().refuse(false), Err(Failure::Refused(sample::Refusal::Busy)));
    let failure = client().refuse(true).unwrap_err();
    assert_eq!(failure, Failure::Refused(sample::Refusal::Tired));
    assert_eq!(std::format!("{failure}"), "no more today");
}

#[test]
fn messages_nobody_declared_are_refused() {
    let far = 1 << 63;
    let cases: &[(u32, [u64; 4], &str)] = &[
        (4, [0; 4], "unknown label"),
        (u32::MAX, [0; 4], "wild label"),
        (0, [1, 0, 0, 0], "bits in a request without fields"),
        (0, [0, 0, 0, far], "last bit of a request without fields"),
        (1, [0, 2 << 56, 0, 0], "bool that is 2"),
        (1, [0, 0, 2, 0], "choice that is 2"),
        (1, [0, 0, 8 << 32, 0], "length beyond the bytes"),
        (1, [0, 0, 1 << 48 | 1 << 32, 0], "bytes behind the length"),
        (2, [0x41_0041, 0, 0, 0], "name with a gap"),
        (2, [0x0a, 0, 0, 0], "name with a control character"),
    ];
    for (label, words, what) in cases {
        let decoded = sample::Request::decode(Message { label: *label, words: *words });
        assert_eq!(decoded, Err(Malformed), "{what}");
        let answer = Direct(RefCell::new(Peer { name: Name::default() }))
            .call(Message { label: *label, words: *words })
            .unwrap();
        assert_eq!(answer.label, crate::gate::ANSWER_MALFORMED, "{what}");
    }
}

/// Answers with whatever it was given.
struct Liar(Message);

impl Transport for Liar {
    fn call(&self, _: Message) -> Result<Message, CallError> {
        Ok(self.0)
    }
}

#[test]
fn a_lying_server_is_noticed() {
    for (label, words) in [(0, [1, 0, 0, 0]), (1, [0; 4]), (4, [0; 4]), (u32::MAX, [0; 4])] {
        let client = sample::Client::new(Liar(Message { label, words }));
        assert_eq!(client.ping(), Err(Failure::Malformed));
    }
}

#[test]
fn a_failed_call_is_reported() {
    struct Dead;
    impl Transport for Dead {
        fn call(&self, _: Message) -> Result<Message, CallError> {
            Err(CallError::PeerFailed)
        }
    }
    assert_eq!(sample::Client::new(Dead).ping(), Err(Failure::Call(CallError::PeerFailed)));
}

fn any_request() -> impl Strategy<Value = sample::Request> {
    let mixed = (any::<(u8, u16, u32, u64, bool, bool, [u8; 3])>(), vec(any::<u8>(), 0..=7)).prop_map(
        |((a, b, c, d, on, right, raw), some)| {
            let turn = if right { Turn::Right } else { Turn::Left };
            sample::Request::Mix { a, b, c, d, on, turn, raw, some: Bytes::new(&some).unwrap() }
        },
    );
    let name = "[!-~]{0,16}".prop_map(|name| sample::Request::SetName { name: Name::new(&name).unwrap() });
    prop_oneof![mixed, name, any::<bool>().prop_map(|tired| sample::Request::Refuse { tired })]
}

proptest! {
    #[test]
    fn requests_survive_the_message(request in any_request()) {
        prop_assert_eq!(sample::Request::decode(request.encode()), Ok(request));
    }

    /// One flipped bit gives another request or an error, never the same request, never a panic.
    #[test]
    fn a_message_has_one_encoding(request in any_request(), bit in 0..256_usize) {
        let mut message = request.encode();
        message.words[bit / 64] ^= 1 << (bit % 64);
        if let Ok(other) = sample::Request::decode(message) {
            prop_assert_ne!(other, request);
            prop_assert_eq!(other.encode(), message);
        }
    }

    #[test]
    fn any_message_is_decoded_or_refused(label in 0..8_u32, words: [u64; 4]) {
        if let Ok(request) = sample::Request::decode(Message { label, words }) {
            prop_assert_eq!(request.encode(), Message { label, words });
        }
    }
}

/// Labels that are declared come as often as others, and most words are zero or have few bits set, so that many a
/// message is nearly one that somebody would send. `cargo test -p cloison-ipc a_million -- --nocapture` shows how many were.
#[test]
fn a_million_messages_are_decoded_or_refused() {
    const MESSAGES: u32 = 1_000_000;
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut decoded = 0;
    for _ in 0..MESSAGES {
        let label = (random() % 8) as u32;
        let words = core::array::from_fn(|_| {
            if random() % 4 == 0 { random() & random() & random() & random() } else { 0 }
        });
        let message = Message { label, words };
        if let Ok(request) = sample::Request::decode(message) {
            assert_eq!(request.encode(), message);
            decoded += 1;
        }
    }
    std::println!("{MESSAGES} messages: {decoded} decoded, {} refused", MESSAGES - decoded);
    assert!(
        decoded > 1000 && decoded < MESSAGES / 2,
        "{decoded} decoded: the messages are too far from real ones"
    );
}
