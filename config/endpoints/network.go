package endpoints

import (
	"fmt"
	"net/netip"
	"strconv"
)

// Ports reads a list of ports.
func Ports(list []string) ([]uint16, error) {
	var ports []uint16
	for _, text := range list {
		port, err := strconv.ParseUint(text, 10, 16)
		if err != nil || port == 0 {
			return nil, fmt.Errorf("must be ports from 1 to 65535, got %q", text)
		}
		ports = append(ports, uint16(port))
	}
	return ports, nil
}

// Ranges reads a list of ranges of addresses; an address alone is a range of one.
func Ranges(list []string) ([]netip.Prefix, error) {
	var ranges []netip.Prefix
	for _, text := range list {
		if addr, err := netip.ParseAddr(text); err == nil && addr.Zone() == "" {
			ranges = append(ranges, netip.PrefixFrom(addr, addr.BitLen()))
			continue
		}
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("must be addresses or ranges such as 10.42.0.0/16, got %q", text)
		}
		ranges = append(ranges, prefix.Masked())
	}
	return ranges, nil
}
