package shelf

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestClasses(t *testing.T) {
	for n := 1; n <= maxClass; n++ {
		c := classOf(n)
		if size := sizeOf(c); size < n || c > 0 && sizeOf(c-1) >= n {
			t.Fatalf("%d bytes: class %d of %d", n, c, size)
		}
	}
	if classOf(maxClass) >= largeRecord-1 {
		t.Error("too many classes")
	}
}

// A shelf is a map from names to records.
func TestShelfAgainstMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s Shelf
		model, ids := map[string][]byte{}, map[string]uint32{}
		sizes := rapid.SampledFrom([]int{0, 1, 31, 32, 33, 250, 257, 300, 5_000, maxClass, maxClass + 1})
		total := 0
		for i := range rapid.IntRange(1, 200).Draw(t, "steps") {
			name := fmt.Sprint(rapid.IntRange(0, 60).Draw(t, "name"))
			id, fresh := s.ID(name)
			if known, ok := ids[name]; ok == fresh || ok && known != id {
				t.Fatalf("%s: id %d, fresh %t, before %d", name, id, fresh, known)
			}
			ids[name] = id
			total -= len(model[name])
			if rapid.IntRange(0, 4).Draw(t, "drop") == 0 {
				s.Drop(id)
				delete(model, name)
			} else {
				model[name] = bytes.Repeat([]byte{byte(i)}, sizes.Draw(t, "size"))
				s.Put(id, model[name])
				total += len(model[name])
			}
		}
		for name, id := range ids {
			want, ok := model[name]
			if got := s.Record(id); s.Name(id) != name || !bytes.Equal(got, want) || (got != nil) != ok {
				t.Fatalf("%s is %q with %d bytes, want %d", name, s.Name(id), len(got), len(want))
			}
		}
		if s.Len() != len(ids) || s.Bytes() != int64(total) {
			t.Fatalf("%d names, %d bytes; want %d, %d", s.Len(), s.Bytes(), len(ids), total)
		}
	})
}

// Near finds the names that are known and changes nothing.
func TestNear(t *testing.T) {
	var s Shelf
	if got := s.Near(nil, [][]byte{[]byte("ada")}); len(got) != 0 {
		t.Errorf("in an empty shelf: %v", got)
	}
	for i, name := range []string{"ada", "", "bob", "large", "empty"} {
		if id, _ := s.ID(name); id != uint32(i) {
			t.Fatalf("%s is %d", name, id)
		}
	}
	s.Put(2, []byte("x"))
	s.Put(3, make([]byte, maxClass+1))
	s.Put(4, nil)
	got := s.Near(nil, [][]byte{[]byte("bob"), []byte("nobody"), []byte("ada"), nil, []byte("large"), []byte("empty")})
	if want := []uint32{2, 0, 1, 3, 4}; !slices.Equal(got, want) || s.Len() != 5 {
		t.Errorf("got %v, want %v", got, want)
	}
}

// The index grows and finds every name again.
func TestManyNames(t *testing.T) {
	var s Shelf
	const n = 100_000
	for i := range n {
		if id, fresh := s.ID(fmt.Sprint("user-", i)); !fresh || id != uint32(i) {
			t.Fatalf("%d: %d, %t", i, id, fresh)
		}
	}
	for i := range n {
		if id, fresh := s.ID(fmt.Sprint("user-", i)); fresh || id != uint32(i) {
			t.Fatalf("%d again: %d, %t", i, id, fresh)
		}
	}
}

func BenchmarkID(b *testing.B) {
	var s Shelf
	names := make([]string, 1_000_000)
	for i := range names {
		names[i] = fmt.Sprintf("user-%08d", i*7919%len(names))
		s.ID(names[i])
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i = (i + 7919) % len(names)
		s.ID(names[i])
	}
}
