package state

import "sync"

// Memory is a Store that forgets everything when the process ends: for small state, for tests and for side runs.
type Memory struct {
	mu   sync.RWMutex // guards what follows
	rows map[string][]byte
	meta Meta
}

// NewMemory makes an empty store.
func NewMemory() *Memory { return &Memory{rows: map[string][]byte{}} }

// Get returns a copy of the value of key, or nil.
func (m *Memory) Get(key string) ([]byte, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if v, ok := m.rows[key]; ok {
		return append([]byte{}, v...), nil
	}
	return nil, nil
}

// Scan calls f for every row until f errs. Rows written meanwhile may or may not be seen.
func (m *Memory) Scan(f func(key, value []byte) error) error {
	m.mu.RLock()
	rows := make([]Row, 0, len(m.rows))
	for k, v := range m.rows {
		rows = append(rows, Row{k, v})
	}
	m.mu.RUnlock()
	for _, r := range rows {
		if err := f([]byte(r.Key), r.Value); err != nil {
			return err
		}
	}
	return nil
}

// Write stores rows and meta at once.
func (m *Memory) Write(rows []Row, meta Meta) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range rows {
		if r.Value == nil {
			delete(m.rows, r.Key)
			continue
		}
		m.rows[r.Key] = append([]byte{}, r.Value...)
	}
	m.meta = meta
	return nil
}

// Merge does nothing: there is one table.
func (m *Memory) Merge() error { return nil }

// Meta is what the last Write left.
func (m *Memory) Meta() Meta {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.meta
}

// Close does nothing: the rows stay until the store is garbage.
func (m *Memory) Close() error { return nil }
