//! The numbers that messages begin with: tags, and the commands of each version.

/// Bytes of the header that every command and every response begins with: tag, length, ordinal or code.
pub const HEADER_BYTES: usize = 10;

/// Tag of a TPM 1.2 command without authorisation.
pub const TAG_12_COMMAND: u16 = 0x00c1;
/// Tag of a TPM 1.2 command with one authorisation.
pub const TAG_12_COMMAND_AUTH1: u16 = 0x00c2;
/// Tag of a TPM 1.2 command with two authorisations.
pub const TAG_12_COMMAND_AUTH2: u16 = 0x00c3;
/// Tag of the answer to [`TAG_12_COMMAND`].
pub const TAG_12_RESPONSE: u16 = 0x00c4;
/// Tag of the answer to [`TAG_12_COMMAND_AUTH1`].
pub const TAG_12_RESPONSE_AUTH1: u16 = 0x00c5;
/// Tag of a TPM 2.0 command or response without sessions.
pub const TAG_20_NO_SESSIONS: u16 = 0x8001;
/// Tag of a TPM 2.0 command or response with sessions.
pub const TAG_20_SESSIONS: u16 = 0x8002;

/// The ordinals used here (part 2, section 17).
pub mod ordinal {
    /// `TPM_OIAP`.
    pub const OIAP: u32 = 0x0a;
    /// `TPM_OSAP`.
    pub const OSAP: u32 = 0x0b;
    /// `TPM_Extend`.
    pub const EXTEND: u32 = 0x14;
    /// `TPM_PCRRead`.
    pub const PCR_READ: u32 = 0x15;
    /// `TPM_Quote`.
    pub const QUOTE: u32 = 0x16;
    /// `TPM_CreateWrapKey`.
    pub const CREATE_WRAP_KEY: u32 = 0x1f;
    /// `TPM_LoadKey2`.
    pub const LOAD_KEY_2: u32 = 0x41;
    /// `TPM_GetRandom`.
    pub const GET_RANDOM: u32 = 0x46;
    /// `TPM_SelfTestFull`.
    pub const SELF_TEST_FULL: u32 = 0x50;
    /// `TPM_ContinueSelfTest`.
    pub const CONTINUE_SELF_TEST: u32 = 0x53;
    /// `TPM_GetCapability`.
    pub const GET_CAPABILITY: u32 = 0x65;
    /// `TPM_CreateEndorsementKeyPair`.
    pub const CREATE_ENDORSEMENT_KEY_PAIR: u32 = 0x78;
    /// `TPM_ReadPubek`.
    pub const READ_PUBEK: u32 = 0x7c;
    /// `TPM_Startup`.
    pub const STARTUP: u32 = 0x99;
    /// `TPM_FlushSpecific`.
    pub const FLUSH_SPECIFIC: u32 = 0xba;
}

/// The command codes used here (part 2, section 6.5.2).
pub mod code {
    /// `TPM2_CreatePrimary`.
    pub const CREATE_PRIMARY: u32 = 0x131;
    /// `TPM2_PCR_Event`.
    pub const PCR_EVENT: u32 = 0x13c;
    /// `TPM2_ActivateCredential`.
    pub const ACTIVATE_CREDENTIAL: u32 = 0x147;
    /// `TPM2_NV_Read`.
    pub const NV_READ: u32 = 0x14e;
    /// `TPM2_PolicySecret`.
    pub const POLICY_SECRET: u32 = 0x151;
    /// `TPM2_IncrementalSelfTest`.
    pub const INCREMENTAL_SELF_TEST: u32 = 0x142;
    /// `TPM2_SelfTest`.
    pub const SELF_TEST: u32 = 0x143;
    /// `TPM2_Startup`.
    pub const STARTUP: u32 = 0x144;
    /// `TPM2_Quote`.
    pub const QUOTE: u32 = 0x158;
    /// `TPM2_FlushContext`.
    pub const FLUSH_CONTEXT: u32 = 0x165;
    /// `TPM2_NV_ReadPublic`.
    pub const NV_READ_PUBLIC: u32 = 0x169;
    /// `TPM2_PolicyLocality`.
    pub const POLICY_LOCALITY: u32 = 0x16f;
    /// `TPM2_ReadPublic`.
    pub const READ_PUBLIC: u32 = 0x173;
    /// `TPM2_StartAuthSession`.
    pub const START_AUTH_SESSION: u32 = 0x176;
    /// `TPM2_GetCapability`.
    pub const GET_CAPABILITY: u32 = 0x17a;
    /// `TPM2_GetRandom`.
    pub const GET_RANDOM: u32 = 0x17b;
    /// `TPM2_PCR_Read`.
    pub const PCR_READ: u32 = 0x17e;
}
