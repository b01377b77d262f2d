//! The pure core of skopeo-index.

pub mod audit;
pub mod digest;
pub mod escape;
pub mod index;
pub mod machine;
pub mod osbuild;
pub mod request;
pub mod skopeo;
