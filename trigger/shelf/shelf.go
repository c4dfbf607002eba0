// Package shelf keeps the records of a partition's users in memory: the place of a name, and the bytes that stand there.
// It is a function of what it is given and knows nothing of what the bytes mean. There are millions of small records that
// change all the time, so none is an object of its own: the garbage collector sees a few large blocks and no pointer in
// them.
package shelf

import (
	"unsafe"

	"github.com/cespare/xxhash/v2"
)

// Shelf holds names, numbered from 0 in the order of their arrival, and a record for each. It has one caller at a time.
// The zero Shelf is empty and ready.
type Shelf struct {
	places  []place
	names   [][]byte
	index   []uint64 // open addressing: 32 bits of the hash, then the place + 1; 0 is free
	classes []class
	large   map[uint32][]byte // records beyond the classes, by place
	bytes   int64

	hashes []uint64 // of Near
	near   uint64   // means nothing; without it what Near reads would not be read
}

// place is where one name and its record are.
type place struct {
	name    uint64 // block and offset
	record  uint32 // number in its class
	length  uint32 // of the record
	nameLen uint16
	class   uint8
}

// What a place's class is where its record is in none.
const (
	noRecord    = 255
	largeRecord = 254
)

const nameBlock = 1 << 18 // bytes of a block of names

// Len is the number of names.
func (s *Shelf) Len() int { return len(s.places) }

// Bytes is the length of all records together.
func (s *Shelf) Bytes() int64 { return s.bytes }

// ID is the number of a name of at most 64 KiB, a new one where the name is; its record is then nil.
func (s *Shelf) ID(name string) (id uint32, fresh bool) {
	hash := xxhash.Sum64String(name)
	if 4*(len(s.places)+1) > 3*len(s.index) {
		s.grow()
	}
	tag := hash &^ (1<<32 - 1)
	i := s.slot(hash)
	for ; s.index[i] != 0; i = s.after(i) {
		if s.index[i]&^(1<<32-1) == tag {
			if id := uint32(s.index[i]) - 1; s.Name(id) == name {
				return id, false
			}
		}
	}
	id = uint32(len(s.places))
	s.index[i] = tag | uint64(id+1)
	s.places = append(s.places, place{name: s.keep(name), nameLen: uint16(len(name)), class: noRecord})
	return id, true
}

// Near appends the numbers of those names that are known, hardly ever of another, and reads what ID, Name and Record
// will read for them, step by step for all: so the waits for memory overlap.
func (s *Shelf) Near(ids []uint32, names [][]byte) []uint32 {
	if len(s.index) == 0 {
		return ids
	}
	s.hashes = s.hashes[:0]
	for _, name := range names {
		s.hashes = append(s.hashes, xxhash.Sum64(name))
	}
	for _, hash := range s.hashes {
		s.near += s.index[s.slot(hash)]
	}
	for _, hash := range s.hashes {
		i := s.slot(hash)
		for s.index[i] != 0 && (s.index[i]^hash)>>32 != 0 {
			i = s.after(i)
		}
		if s.index[i] != 0 {
			ids = append(ids, uint32(s.index[i])-1)
		}
	}
	for _, id := range ids {
		s.near += uint64(s.places[id].length)
	}
	for _, id := range ids {
		s.readAt(&s.places[id])
	}
	return ids
}

func (s *Shelf) readAt(p *place) {
	if p.nameLen > 0 {
		s.near += uint64(s.names[p.name>>32][uint32(p.name)])
	}
	if p.class < largeRecord && p.length > 0 {
		record := s.classes[p.class].at(p.record)
		s.near += uint64(record[0]) + uint64(record[p.length-1])
	}
}

func (s *Shelf) slot(hash uint64) uint64  { return hash >> 20 & uint64(len(s.index)-1) }
func (s *Shelf) after(slot uint64) uint64 { return (slot + 1) & uint64(len(s.index)-1) }

// grow doubles the index.
func (s *Shelf) grow() {
	s.index = make([]uint64, max(64, 2*len(s.index)))
	for id := range s.places {
		hash := xxhash.Sum64String(s.Name(uint32(id)))
		i := s.slot(hash)
		for s.index[i] != 0 {
			i = s.after(i)
		}
		s.index[i] = hash&^(1<<32-1) | uint64(id+1)
	}
}

// keep copies a name and returns where it is.
func (s *Shelf) keep(name string) uint64 {
	if n := len(s.names); n == 0 || len(s.names[n-1])+len(name) > cap(s.names[n-1]) {
		s.names = append(s.names, make([]byte, 0, max(nameBlock, len(name))))
	}
	last := &s.names[len(s.names)-1]
	at := uint64(len(s.names)-1)<<32 | uint64(len(*last))
	*last = append(*last, name...)
	return at
}

// Name is the name of a number. It stays valid for good.
func (s *Shelf) Name(id uint32) string {
	p := &s.places[id]
	if p.nameLen == 0 {
		return ""
	}
	return unsafe.String(&s.names[p.name>>32][uint32(p.name)], int(p.nameLen))
}

// Record are the bytes that stand at id until the next Put or Drop there; nil where there are none.
func (s *Shelf) Record(id uint32) []byte {
	p := &s.places[id]
	switch p.class {
	case noRecord:
		return nil
	case largeRecord:
		return s.large[id]
	}
	return s.classes[p.class].at(p.record)[:p.length:p.length]
}

// Put copies a record to id, over the one that was there if it has about that size.
func (s *Shelf) Put(id uint32, record []byte) {
	c := classOf(len(record))
	p := &s.places[id]
	if p.class != c {
		s.Drop(id)
		p.class = c
		if c != largeRecord {
			p.record = s.class(c).take()
		}
	} else {
		s.bytes -= int64(p.length)
	}
	p.length = uint32(len(record))
	s.bytes += int64(len(record))
	if c != largeRecord {
		copy(s.classes[c].at(p.record), record)
		return
	}
	if s.large == nil {
		s.large = map[uint32][]byte{}
	}
	s.large[id] = append([]byte{}, record...)
}

// Drop removes the record of id.
func (s *Shelf) Drop(id uint32) {
	p := &s.places[id]
	switch p.class {
	case noRecord:
		return
	case largeRecord:
		delete(s.large, id)
	default:
		s.classes[p.class].free = append(s.classes[p.class].free, p.record)
	}
	s.bytes -= int64(p.length)
	p.class, p.length = noRecord, 0
}
