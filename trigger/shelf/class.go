package shelf

import "math/bits"

// Records of about one size share blocks: steps of 32 bytes up to stepped, then eight sizes to each power of two, so
// that at most an eighth of a record is wasted.
const (
	step     = 32
	stepped  = 256
	steps    = stepped / step
	octave   = 8
	maxClass = 64 << 10 // bytes; a larger record is on its own
	block    = 256 << 10
)

// classOf is the class of a record of n bytes.
func classOf(n int) uint8 {
	switch {
	case n > maxClass:
		return largeRecord
	case n <= stepped:
		return uint8((max(n, 1) - 1) / step)
	}
	power := bits.Len(uint(n-1)) - 1 // n is in (2^power, 2^(power+1)]
	part := (n - 1 - 1<<power) >> (power - 3)
	return uint8(steps + (power-8)*octave + part)
}

// sizeOf is the largest record of a class.
func sizeOf(c uint8) int {
	if c < steps {
		return (int(c) + 1) * step
	}
	power, part := 8+(int(c)-steps)/octave, (int(c)-steps)%octave
	return 1<<power + (part+1)<<(power-3)
}

// class is the records of about one size.
type class struct {
	size   int
	per    uint32 // records of a block
	blocks [][]byte
	used   uint32   // records that were ever taken
	free   []uint32 // those of them that are free again
}

// class makes the classes up to c if they are not there yet.
func (s *Shelf) class(c uint8) *class {
	for len(s.classes) <= int(c) {
		size := sizeOf(uint8(len(s.classes)))
		s.classes = append(s.classes, class{size: size, per: uint32(block / size)})
	}
	return &s.classes[c]
}

// take gives a free record.
func (c *class) take() uint32 {
	if n := len(c.free); n > 0 {
		r := c.free[n-1]
		c.free = c.free[:n-1]
		return r
	}
	if c.used == uint32(len(c.blocks))*c.per {
		c.blocks = append(c.blocks, make([]byte, int(c.per)*c.size))
	}
	c.used++
	return c.used - 1
}

// at are the bytes of a record.
func (c *class) at(record uint32) []byte {
	start := int(record%c.per) * c.size
	return c.blocks[record/c.per][start : start+c.size : start+c.size]
}
