//! IP addresses and ranges of them.

use super::{Result, conversion};
use crate::value::Value;
use core::net::IpAddr;
use std::fmt;

/// A range of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cidr {
    address: IpAddr,
    bits: u8,
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

fn parse_ip(text: &str) -> Option<IpAddr> {
    let address: IpAddr = text.parse().ok()?;
    let mapped = matches!(address, IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some());
    (!mapped).then_some(address)
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

impl Cidr {
    fn parse(text: &str) -> Option<Self> {
        let (address, bits) = text.split_once('/')?;
        let address = parse_ip(address)?;
        let plain =
            bits.bytes().all(|b| b.is_ascii_digit()) && (bits == "0" || !bits.starts_with('0'));
        let bits: u8 = bits.parse().ok().filter(|_| plain)?;
        (bits <= width(address)).then_some(Self { address, bits })
    }

    fn contains(self, address: IpAddr) -> bool {
        let shift = u32::from(width(self.address) - self.bits);
        let head = |address: IpAddr| number(address).checked_shr(shift).unwrap_or(0);
        self.address.is_ipv4() == address.is_ipv4() && head(self.address) == head(address)
    }

    fn masked(self) -> Self {
        let shift = u32::from(width(self.address) - self.bits);
        let cut = |number: u128| {
            number
                .checked_shr(shift)
                .and_then(|n| n.checked_shl(shift))
                .unwrap_or(0)
        };
        let bits = cut(number(self.address));
        let address = match self.address {
            IpAddr::V4(_) => IpAddr::V4(u32::try_from(bits).unwrap_or(0).into()),
            IpAddr::V6(_) => IpAddr::V6(bits.into()),
        };
        Self {
            address,
            bits: self.bits,
        }
    }
}

pub(super) fn call(
    name: &str,
    target: Option<&Value>,
    arguments: &[Value],
) -> Option<Result<Value>> {
    match (name, target, arguments) {
        ("ip", None, [Value::String(text)]) => {
            let error = || {
                conversion(format!(
                    "IP Address {text:?} parse error during conversion from string"
                ))
            };
            Some(parse_ip(text).map(Value::Ip).ok_or_else(error))
        }
        ("isIP", None, [Value::String(text)]) => Some(Ok(Value::Bool(parse_ip(text).is_some()))),
        ("ip.isCanonical", None, [Value::String(text)]) => {
            let error = || {
                conversion(format!(
                    "IP Address {text:?} parse error during conversion from string"
                ))
            };
            let canonical = parse_ip(text).map(|ip| ip.to_string() == text.as_ref());
            Some(canonical.map(Value::Bool).ok_or_else(error))
        }
        ("cidr", None, [Value::String(text)]) => {
            let error = || conversion("network address parse error during conversion from string");
            Some(Cidr::parse(text).map(Value::Cidr).ok_or_else(error))
        }
        ("isCIDR", None, [Value::String(text)]) => {
            Some(Ok(Value::Bool(Cidr::parse(text).is_some())))
        }
        (_, Some(Value::Ip(ip)), []) => of_ip(name, *ip).map(Ok),
        (_, Some(Value::Cidr(cidr)), arguments) => of_cidr(name, *cidr, arguments),
        _ => None,
    }
}

fn of_ip(name: &str, ip: IpAddr) -> Option<Value> {
    let link_local = match ip {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    let link_local_multicast = match ip {
        IpAddr::V4(v4) => v4.octets()[..3] == [224, 0, 0],
        IpAddr::V6(v6) => v6.segments()[0] & 0xff0f == 0xff02,
    };
    let broadcast = matches!(ip, IpAddr::V4(v4) if v4.is_broadcast());
    Some(match name {
        "family" => Value::Int(if ip.is_ipv4() { 4 } else { 6 }),
        "isUnspecified" => Value::Bool(ip.is_unspecified()),
        "isLoopback" => Value::Bool(ip.is_loopback()),
        "isLinkLocalUnicast" => Value::Bool(link_local),
        "isLinkLocalMulticast" => Value::Bool(link_local_multicast),
        "isGlobalUnicast" => {
            let special = ip.is_unspecified()
                || ip.is_loopback()
                || ip.is_multicast()
                || link_local
                || broadcast;
            Value::Bool(!special)
        }
        _ => return None,
    })
}

fn of_cidr(name: &str, cidr: Cidr, arguments: &[Value]) -> Option<Result<Value>> {
    let inside =
        |other: Option<Cidr>| other.map(|o| o.bits >= cidr.bits && cidr.contains(o.address));
    let error = || conversion("network address parse error during conversion from string");
    Some(match (name, arguments) {
        ("containsIP", [Value::Ip(ip)]) => Ok(Value::Bool(cidr.contains(*ip))),
        ("containsIP", [Value::String(text)]) => parse_ip(text)
            .map(|ip| Value::Bool(cidr.contains(ip)))
            .ok_or_else(error),
        ("containsCIDR", [Value::Cidr(other)]) => {
            inside(Some(*other)).map(Value::Bool).ok_or_else(error)
        }
        ("containsCIDR", [Value::String(text)]) => {
            inside(Cidr::parse(text)).map(Value::Bool).ok_or_else(error)
        }
        ("ip", []) => Ok(Value::Ip(cidr.address)),
        ("masked", []) => Ok(Value::Cidr(cidr.masked())),
        ("prefixLength", []) => Ok(Value::Int(i64::from(cidr.bits))),
        _ => return None,
    })
}
