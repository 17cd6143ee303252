//! The system image.

use cloison_abi::image::BuilderSegment;
use cloison_rules::{Frame, memory::Run};

use super::{machine::IMAGE_PAGES, physical::FIRST_FRAME};
use crate::arch::frames::ImagePart;

/// The system image, which lies before all else.
pub struct SystemImage;

impl SystemImage {
    /// Its pages.
    pub fn pages(&self) -> Run {
        Run::new(Frame::new(FIRST_FRAME), IMAGE_PAGES)
    }

    /// The part of it that a segment of the builder describes; none if there is no such part.
    pub fn part(&self, segment: &BuilderSegment) -> Option<ImagePart> {
        // SAFETY: nobody else uses it.
        unsafe { ImagePart::new(self.pages(), segment) }
    }
}
