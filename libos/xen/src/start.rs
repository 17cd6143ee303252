//! What a guest finds at its first instruction, and what its image says of how it wants to be started (Xen's
//! `xen.h` and `elfnote.h`).

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// What [`StartInfo::magic`] begins with.
pub const MAGIC: &[u8] = b"xen-3.0-x86_64";
/// Bytes of the command line, the 0 at its end included.
pub const COMMAND_LINE_BYTES: usize = 1024;
/// Flag of [`StartInfo::flags`]: [`StartInfo::mod_start`] is a frame, not an address.
pub const MOD_START_IS_FRAME: u32 = 1 << 3;

/// `start_info`: a page of the guest whose address is in `rsi`.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct StartInfo {
    /// Which interface this is.
    pub magic: [u8; 32],
    /// Pages of memory.
    pub nr_pages: u64,
    /// Address, among the machine's, of the shared page.
    pub shared_info: u64,
    /// See [`MOD_START_IS_FRAME`].
    pub flags: u32,
    padding: u32,
    /// Frame of xenstore's ring.
    pub store_frame: u64,
    /// Event channel of xenstore; 0 if there is none.
    pub store_port: u32,
    padding1: u32,
    /// Frame of the console's ring.
    pub console_frame: u64,
    /// Event channel of the console.
    pub console_port: u32,
    padding2: u32,
    /// Address of the page table's root.
    pub pt_base: u64,
    /// Frames of page tables from [`Self::pt_base`] on.
    pub nr_pt_frames: u64,
    /// Address of the list that has the machine's frame for each frame of the guest.
    pub frame_list: u64,
    /// First frame of the initial ramdisk; 0 if there is none.
    pub mod_start: u64,
    /// Bytes of the initial ramdisk.
    pub mod_bytes: u64,
    /// Ends with a 0.
    pub command_line: [u8; COMMAND_LINE_BYTES],
    /// First frame of the list and of the tables that map it.
    pub first_list_frame: u64,
    /// Number of these frames.
    pub nr_list_frames: u64,
}

const _: () = assert!(size_of::<StartInfo>() == 1168);

impl StartInfo {
    /// One with nothing in it but the magic.
    #[must_use]
    pub fn new() -> Self {
        let mut info = <Self as zerocopy::FromZeros>::new_zeroed();
        info.magic[..MAGIC.len()].copy_from_slice(MAGIC);
        info
    }
}

impl Default for StartInfo {
    fn default() -> Self {
        Self::new()
    }
}

/// Who has written a note in a kernel's image that is meant here.
pub const NOTE_OWNER: &[u8] = b"Xen\0";

/// Numbers of the notes in a kernel's image.
pub mod note {
    /// First instruction as a paravirtualised guest.
    pub const ENTRY: u32 = 1;
    /// Address of a page that the hypervisor fills with the instructions of each hypercall.
    pub const HYPERCALL_PAGE: u32 = 2;
    /// Address at which frame 0 is mapped.
    pub const VIRT_BASE: u32 = 3;
    /// What the image's physical addresses begin at, in place of 0.
    pub const PADDR_OFFSET: u32 = 4;
    /// Lowest address that the hypervisor may keep for itself.
    pub const HV_START_LOW: u32 = 12;
    /// Where the frame list is to be mapped.
    pub const INIT_P2M: u32 = 15;
    /// Whether the initial ramdisk may stay unmapped.
    pub const MOD_START_PFN: u32 = 16;
}

/// Bytes of a hypercall in the page that [`note::HYPERCALL_PAGE`] names.
pub const HYPERCALL_BYTES: usize = 32;
