// Package demo is a small shop to try vigil on: shoppers with names, the campaigns of their shop, a receiver that
// checks the signature of every webhook, and the words to tell what happened. It stands at both ends of the flow,
// knows no Kafka, and judges nothing: whether a shopper gets a webhook is for the engine to say.
package demo

import "embed"

// Campaigns are the campaign files of the shop, in the folder "campaigns".
//
//go:embed campaigns/*.yaml
var Campaigns embed.FS

// CartWindow is the `within` of abandoned-cart.yaml, in seconds.
const CartWindow = 5

// Shopper is somebody who shops.
type Shopper struct {
	Name    string
	Their   string
	Country string // ISO 3166
}

// shoppers are all there are; who comes when is for the seed to say.
var shoppers = []Shopper{
	{"Ada", "her", "FR"},
	{"Bob", "his", "US"},
	{"Chloé", "her", "CA"},
	{"Dev", "his", "IN"},
	{"Emeka", "his", "NG"},
	{"Fatima", "her", "MA"},
	{"Goran", "his", "HR"},
	{"Hana", "her", "JP"},
	{"Ines", "her", "PT"},
	{"Jonas", "his", "DE"},
	{"Kim", "their", "CA"},
	{"Lena", "her", "AT"},
	{"Mateo", "his", "CL"},
	{"Noor", "her", "NL"},
	{"Omar", "his", "CA"},
	{"Pia", "her", "SE"},
}

// find is the shopper of a name, known or not.
func find(name string) Shopper {
	for _, s := range shoppers {
		if s.Name == name {
			return s
		}
	}
	return Shopper{Name: name, Their: "their"}
}
