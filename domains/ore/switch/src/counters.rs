//! What is counted at each port.

/// Declares the causes, in the order of their numbers.
macro_rules! causes {
    ($($(#[$doc:meta])* $cause:ident = $name:literal,)+) => {
        /// Why a frame is dropped.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Cause { $($(#[$doc])* $cause,)+ }

        impl Cause {
            /// Every cause, in the order of their numbers.
            pub const ALL: &[Self] = &[$(Self::$cause,)+];

            /// The cause in words, to stand behind "dropped:".
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$cause => $name,)+ }
            }
        }
    };
}

causes! {
    // Counted at the port where the frame came in.
    /// It is too short for an Ethernet header.
    Runt = "too short",
    /// It carries a VLAN tag; which VLAN a frame belongs to, its port decides.
    Tagged = "carries a VLAN tag",
    /// Its source is not the port's address; at an uplink: it is a port's, or a group's.
    Spoofed = "false source address",
    /// The packet in it is not from the port's IPv4 address, or from one that another has.
    Forged = "false IP address",
    /// A DHCP server may have sent it, and the port is no uplink.
    DhcpServer = "not from an uplink and perhaps a DHCP server's",
    /// It is for an address that a switch never forwards.
    Reserved = "for switches only",
    /// The access list does not let the port send there.
    Denied = "not allowed to send there",
    /// Nobody in the port's VLAN has the address, and no uplink is there that might lead to it.
    NoReceiver = "nobody there",
    // Counted at the port where the frame should have gone out.
    /// It is longer than the port takes.
    TooLong = "longer than it takes",
    /// The domain at the port did not make room in time.
    NoRoom = "no room",
    /// The domain at the port has left nonsense in its ring and is cut off.
    CutOff = "cut off",
}

impl core::fmt::Display for Cause {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        out.write_str(self.name())
    }
}

/// What went through a port, since the switch started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Frames that came in, those dropped afterwards included.
    pub frames_in: u64,
    /// Bytes of the frames that came in.
    pub bytes_in: u64,
    /// Frames that went out.
    pub frames_out: u64,
    /// Bytes of the frames that went out.
    pub bytes_out: u64,
    /// Frames dropped, by the number of the cause.
    pub dropped: [u64; Cause::ALL.len()],
}

impl Counters {
    #[inline]
    pub(crate) fn count_in(&mut self, bytes: usize) {
        self.frames_in += 1;
        self.bytes_in += bytes as u64;
    }

    #[inline]
    pub(crate) fn count_out(&mut self, bytes: usize) {
        self.frames_out += 1;
        self.bytes_out += bytes as u64;
    }

    pub(crate) fn count_dropped(&mut self, cause: Cause) {
        self.dropped[cause as usize] += 1;
    }

    /// How many frames were dropped for this cause.
    #[must_use]
    pub fn dropped(&self, cause: Cause) -> u64 {
        self.dropped[cause as usize]
    }
}
