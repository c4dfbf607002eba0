package trigger

// entry is a deadline of a slot.
type entry struct {
	due  int64
	slot uint32
}

// heap is a 4-ary heap of deadlines, the smallest first.
type heap []entry

func (h *heap) push(e entry) {
	*h = append(*h, e)
	s := *h
	i := len(s) - 1
	for i > 0 {
		parent := (i - 1) / 4
		if s[parent].due <= e.due {
			break
		}
		s[i] = s[parent]
		i = parent
	}
	s[i] = e
}

func (h *heap) pop() {
	s := *h
	last := s[len(s)-1]
	s = s[:len(s)-1]
	*h = s
	if len(s) == 0 {
		return
	}
	i := 0
	for {
		least := 4*i + 1
		if least >= len(s) {
			break
		}
		for c := least + 1; c < min(least+4, len(s)) && c < 4*i+5; c++ {
			if s[c].due < s[least].due {
				least = c
			}
		}
		if s[least].due >= last.due {
			break
		}
		s[i] = s[least]
		i = least
	}
	s[i] = last
}
