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
	They    string // he, she or they
	Their   string
	Country string // ISO 3166
}

// shoppers are all there are; who comes when is for the seed to say.
var shoppers = []Shopper{
	{"Ada", "she", "her", "FR"}, {"Bob", "he", "his", "US"}, {"Chloé", "she", "her", "CA"},
	{"Dev", "he", "his", "IN"}, {"Emeka", "he", "his", "NG"}, {"Fatima", "she", "her", "MA"},
	{"Goran", "he", "his", "HR"}, {"Hana", "she", "her", "JP"}, {"Ines", "she", "her", "PT"},
	{"Jonas", "he", "his", "DE"}, {"Kim", "they", "their", "CA"}, {"Lena", "she", "her", "AT"},
	{"Mateo", "he", "his", "CL"}, {"Noor", "she", "her", "NL"}, {"Omar", "he", "his", "CA"},
	{"Pia", "she", "her", "SE"},
}

// find is the shopper of a name; one who is not known is "they".
func find(name string) Shopper {
	for _, s := range shoppers {
		if s.Name == name {
			return s
		}
	}
	return Shopper{Name: name, They: "they", Their: "their"}
}
