//! Emotions as frames on a serial line.
#![no_std]
