//! A report kept as the JSON it came as: a third of the memory of its tree of strings, and most
//! reports are looked at seldom.

use std::fmt;
use std::marker::PhantomData;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// A `T` as JSON text. The text was read back as a `T` when it was made.
pub(super) struct Compact<T> {
    json: Box<RawValue>,
    of: PhantomData<fn() -> T>,
}

impl<T: Serialize + DeserializeOwned + Default> Compact<T> {
    /// `None` for a value whose text is no `T` again. There are such values: a time of the year -1
    /// is read in one form and written in another, which is not read.
    pub(super) fn new(value: &T) -> Option<Self> {
        let json = serde_json::value::to_raw_value(value).ok()?;
        serde_json::from_str::<T>(json.get()).ok()?;
        Some(Self {
            json,
            of: PhantomData,
        })
    }

    /// The value. That its text can be read was checked when it was made or read, so it is never
    /// the empty one instead.
    pub(super) fn get(&self) -> T {
        serde_json::from_str(self.json.get()).unwrap_or_default()
    }

    /// Bytes of its text.
    pub(super) fn len(&self) -> usize {
        self.json.get().len()
    }
}

impl<T> Clone for Compact<T> {
    fn clone(&self) -> Self {
        Self {
            json: self.json.clone(),
            of: PhantomData,
        }
    }
}

impl<T> PartialEq for Compact<T> {
    fn eq(&self, other: &Self) -> bool {
        self.json.get() == other.json.get()
    }
}

impl<T> fmt::Debug for Compact<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.json.get())
    }
}

impl<T> Serialize for Compact<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.json.serialize(serializer)
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Compact<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = Box::<RawValue>::deserialize(deserializer)?;
        serde_json::from_str::<T>(json.get()).map_err(serde::de::Error::custom)?;
        Ok(Self {
            json,
            of: PhantomData,
        })
    }
}
