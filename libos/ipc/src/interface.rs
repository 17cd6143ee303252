//! The `interface!` macro.

/// Declares what a server offers through a gate.
///
/// ```
/// cloison_ipc::interface! {
///     /// A lamp that several domains may switch.
///     pub mod lamp {
///         /// Why the server refuses.
///         refuse Refusal {
///             /// Somebody else holds it.
///             Taken = "another domain holds the lamp",
///         }
///         /// Switches the lamp.
///         switch: Switch { on: bool, brightness: u16 } -> Switched { was_on: bool };
///         /// Lets go of the lamp.
///         release: Release {} -> Released {};
///     }
/// }
/// ```
///
/// makes a module `lamp` with
///
/// * `Request`, an enum with one variant a request, and `Request::decode(Message)`, `encode()`;
/// * one struct a reply (`Switched`, `Released`) and the enum `Refusal`;
/// * `Client<T: Transport>`, one method a request: `client.switch(true, 7)?.was_on`; on the target `T` is a
///   [`Slot`](cloison_sys::Slot), which `Client::find("lamp")` looks up;
/// * `Server`, a trait with one method a request; `answer(&mut server, badge, message) -> Message`, which
///   decodes, calls the method and encodes; and `serve(&mut server) -> !`, which does so for ever.
///
/// A request's number is its position. A field's type is anything that is
/// [`wire::Field`](crate::wire::Field); a declaration whose fields do not fit into the four words does not
/// compile.
#[macro_export]
macro_rules! interface {
    (
        $(#[$interface_doc:meta])*
        $visibility:vis mod $interface:ident {
            $(#[$refusal_doc:meta])*
            refuse $refusal:ident { $($(#[$reason_doc:meta])* $reason:ident = $explanation:literal),* $(,)? }
            $(
                $(#[$request_doc:meta])*
                $method:ident: $request:ident { $($in_field:ident: $in_type:ty),* $(,)? }
                    -> $reply:ident { $($out_field:ident: $out_type:ty),* $(,)? };
            )*
        }
    ) => {
        $(#[$interface_doc])*
        #[allow(dead_code, unreachable_pub, reason = "who declares an interface may use one side of it only")]
        #[allow(clippy::too_many_arguments, reason = "a method has the arguments that the declaration gives it")]
        $visibility mod $interface {
            #[allow(unused_imports, reason = "the types of fields may come from where the interface is declared")]
            use super::*;
            use $crate::{
                Badge, Failure, Message, Transport,
                gate::{ANSWER_DONE, ANSWER_MALFORMED, ANSWER_REFUSED},
                wire::{Decoder, Encoder, Field, Malformed, fit},
            };

            /// The requests' numbers: their positions.
            #[allow(non_camel_case_types, reason = "named as the methods are")]
            #[derive(Clone, Copy)]
            enum Label { $($method,)* }

            /// The reasons' numbers: their positions.
            #[derive(Clone, Copy)]
            enum Reason { $($reason,)* }

            $(#[$refusal_doc])*
            #[derive(Clone, Copy, Debug, PartialEq, Eq)]
            pub enum $refusal { $($(#[$reason_doc])* $reason,)* }

            impl $refusal {
                fn from_label(label: u32) -> Option<Self> {
                    let _position = label.checked_sub(ANSWER_REFUSED)?;
                    $(if _position == Reason::$reason as u32 {
                        return Some(Self::$reason);
                    })*
                    None
                }

                fn label(self) -> u32 {
                    match self { $(Self::$reason => ANSWER_REFUSED + Reason::$reason as u32,)* }
                }
            }

            impl core::fmt::Display for $refusal {
                fn fmt(&self, _out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                    match *self { $(Self::$reason => _out.write_str($explanation),)* }
                }
            }

            impl core::error::Error for $refusal {}

            /// What a client can ask.
            #[derive(Clone, Copy, Debug, PartialEq, Eq)]
            #[allow(missing_docs, reason = "the fields' names say what they are")]
            pub enum Request { $($(#[$request_doc])* $request { $($in_field: $in_type,)* },)* }

            impl Request {
                /// The message that asks this.
                #[must_use]
                pub fn encode(&self) -> Message {
                    match self {$(
                        Self::$request { $($in_field,)* } => {
                            #[allow(unused_mut, reason = "a request may have no fields")]
                            let mut fields = Encoder::default();
                            $(Field::put($in_field, &mut fields);)*
                            Message { label: Label::$method as u32, words: fields.words() }
                        }
                    )*}
                }

                /// What a message asks.
                ///
                /// # Errors
                /// [`Malformed`] if it is not a message of this interface.
                pub fn decode(message: Message) -> Result<Self, Malformed> {
                    #[allow(unused_mut, reason = "a request may have no fields")]
                    let mut fields = Decoder::new(message.words);
                    $(if message.label == Label::$method as u32 {
                        const { assert!(fit(&[$(<$in_type as Field>::BYTES),*]), "a request holds at most 32 bytes") };
                        let request = Self::$request { $($in_field: Field::take(&mut fields)?,)* };
                        return fields.finish().map(|()| request);
                    })*
                    Err(Malformed)
                }
            }

            $(
                #[doc = concat!("Reply to [`Request::", stringify!($request), "`].")]
                #[derive(Clone, Copy, Debug, PartialEq, Eq)]
                #[allow(missing_docs, reason = "the fields' names say what they are")]
                pub struct $reply { $(pub $out_field: $out_type,)* }

                impl $reply {
                    fn encode(&self) -> Message {
                        const { assert!(fit(&[$(<$out_type as Field>::BYTES),*]), "a reply holds at most 32 bytes") };
                        #[allow(unused_mut, reason = "a reply may have no fields")]
                        let mut fields = Encoder::default();
                        $(Field::put(&self.$out_field, &mut fields);)*
                        Message { label: ANSWER_DONE, words: fields.words() }
                    }

                    fn decode(answer: Message) -> Result<Self, Failure<$refusal>> {
                        if answer.label != ANSWER_DONE {
                            return Err($refusal::from_label(answer.label).map_or(Failure::Malformed, Failure::Refused));
                        }
                        #[allow(unused_mut, reason = "a reply may have no fields")]
                        let mut fields = Decoder::new(answer.words);
                        let reply = Self { $($out_field: Field::take(&mut fields)?,)* };
                        fields.finish()?;
                        Ok(reply)
                    }
                }
            )*

            /// The client's side.
            #[derive(Clone, Copy, Debug)]
            pub struct Client<T = $crate::Slot> { transport: T }

            impl Client {
                /// The client of the gate that this domain's `domain.toml` calls `name`.
                ///
                /// # Errors
                /// [`Failure::NotGiven`] if the manifest gave none.
                pub fn find(name: &'static str) -> Result<Self, Failure<$refusal>> {
                    $crate::gate::find(name).map(Self::new).ok_or(Failure::NotGiven(name))
                }
            }

            impl<T: Transport> Client<T> {
                /// A client that reaches the server through `transport`: the slot of a gate, on the target.
                pub const fn new(transport: T) -> Self {
                    Self { transport }
                }

                $(
                    $(#[$request_doc])*
                    ///
                    /// # Errors
                    /// What the server refuses, and what can go wrong with a call.
                    pub fn $method(&self, $($in_field: $in_type,)*) -> Result<$reply, Failure<$refusal>> {
                        $reply::decode(self.transport.call(Request::$request { $($in_field,)* }.encode())?)
                    }
                )*
            }

            /// The server's side: one method a request. `client` is the caller's badge.
            #[allow(missing_docs, reason = "the requests are described once, at `Request`")]
            #[allow(clippy::missing_errors_doc, reason = "as above")]
            pub trait Server {
                $(fn $method(&mut self, client: Badge, $($in_field: $in_type,)*) -> Result<$reply, $refusal>;)*
            }

            /// Has `server` carry out the request in `message`. Returns the answer, for the next
            /// `reply_wait`.
            pub fn answer(server: &mut impl Server, client: Badge, message: Message) -> Message {
                let outcome = match Request::decode(message) {
                    $(Ok(Request::$request { $($in_field,)* }) => {
                        server.$method(client, $($in_field,)*).map(|reply| reply.encode())
                    })*
                    Err(Malformed) => return Message { label: ANSWER_MALFORMED, ..Message::default() },
                };
                outcome.unwrap_or_else(|refusal| Message { label: refusal.label(), ..Message::default() })
            }

            /// Has `server` carry out every request that comes, for ever. A server that waits for more than
            /// requests uses [`answer`].
            pub fn serve(server: &mut impl Server) -> ! {
                $crate::gate::serve(|client, message| answer(server, client, message))
            }
        }
    };
}

/// Declares an enum without values as a type that a field of a message can have. It takes one byte; a value's
/// number is its position.
///
/// ```
/// cloison_ipc::choice! {
///     /// Which way to turn.
///     pub enum Turn {
///         /// Counter-clockwise.
///         Left,
///         /// Clockwise.
///         Right,
///     }
/// }
/// ```
#[macro_export]
macro_rules! choice {
    ($(#[$doc:meta])* $visibility:vis enum $name:ident { $($(#[$value_doc:meta])* $value:ident),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(unreachable_pub, reason = "the module around may be private")]
        #[repr(u8)]
        $visibility enum $name { $($(#[$value_doc])* $value,)+ }

        impl $crate::wire::Field for $name {
            const BYTES: usize = 1;

            fn put(&self, out: &mut $crate::wire::Encoder) {
                out.put(&[*self as u8]);
            }

            fn take(from: &mut $crate::wire::Decoder) -> Result<Self, $crate::wire::Malformed> {
                let [number] = from.take()?;
                $(if number == Self::$value as u8 {
                    return Ok(Self::$value);
                })+
                Err($crate::wire::Malformed)
            }
        }
    };
}

#[cfg(test)]
mod tests;
