//! Which instructions the kernel uses: chosen once from what the processor has,
//! and changeable so that tests run every variant.

use std::sync::atomic::{AtomicU8, Ordering};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Level {
    Portable = 1,
    Avx2 = 2,
    Avx512 = 3,
}

/// 0: not yet decided.
static CURRENT: AtomicU8 = AtomicU8::new(0);

impl Level {
    pub const ALL: [Level; 3] = [Level::Portable, Level::Avx2, Level::Avx512];

    pub fn name(self) -> &'static str {
        match self {
            Level::Portable => "portable",
            Level::Avx2 => "avx2",
            Level::Avx512 => "avx512",
        }
    }

    pub fn from_name(name: &str) -> Option<Level> {
        Level::ALL.into_iter().find(|level| level.name() == name)
    }

    /// Whether this processor, and the compiler used, allow this level.
    pub fn is_available(self) -> bool {
        match self {
            Level::Portable => true,
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => std::arch::is_x86_feature_detected!("avx2"),
            #[cfg(all(target_arch = "x86_64", have_avx512))]
            Level::Avx512 => {
                std::arch::is_x86_feature_detected!("avx2")
                    && std::arch::is_x86_feature_detected!("avx512f")
            }
            #[allow(unreachable_patterns)] // reached where the arms above are compiled out
            _ => false,
        }
    }

    /// Available, and hashes as the portable code does: a wrong hash in a backup shows
    /// up years later, and not every processor can be tried before a release.
    fn is_usable(self) -> bool {
        self.is_available() && crate::digest::is_right(self)
    }

    fn best() -> Level {
        let mut levels = Level::ALL.into_iter().rev();
        levels
            .find(|level| level.is_usable())
            .unwrap_or(Level::Portable)
    }
}

/// The level in use. Always one that `is_available`.
pub fn current() -> Level {
    match CURRENT.load(Ordering::Relaxed) {
        1 => Level::Portable,
        2 => Level::Avx2,
        3 => Level::Avx512,
        _ => {
            let level = Level::best();
            CURRENT.store(level as u8, Ordering::Relaxed);
            level
        }
    }
}

/// Returns false, and changes nothing, when the processor lacks the level.
pub fn set(level: Level) -> bool {
    let available = level.is_usable();
    if available {
        CURRENT.store(level as u8, Ordering::Relaxed);
    }
    available
}
