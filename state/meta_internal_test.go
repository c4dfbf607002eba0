package state

import (
	"encoding/hex"
	"testing"
)

// The metas of every version ever released, as bytes: each says what it is, or that it is of an unknown schema, so that
// its rows are rebuilt. None is taken for a store without a meta.
func TestGoldenMetas(t *testing.T) {
	now := Meta{Offset: 42, Schema: 1, Written: 1700000000000, Digest: 0x0102030405060708, TopicID: "a topic"}
	for golden, want := range map[string]Meta{
		"":                                  {},
		"01540280a0abfef9626120746f706963":  {Schema: unknownSchema}, // version 1
		"035402":                            {Schema: unknownSchema}, // of a version to come
		"02":                                {Schema: unknownSchema},
		hex.EncodeToString(encodeMeta(now)): now,
		"02540280a0abfef96208070605040302016120746f706963": now,
	} {
		raw, err := hex.DecodeString(golden)
		if err != nil {
			t.Fatal(err)
		}
		if got := decodeMeta(raw); got != want {
			t.Errorf("%s reads as %+v, want %+v", golden, got, want)
		}
	}
}
