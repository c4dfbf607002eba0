package live

import (
	"fmt"

	"vigil/campaign"
	"vigil/trigger"
)

// Times are those of a processor whose test does not wait long.
func Times() trigger.Options {
	return trigger.Options{AllowedLateness: 100, MaxEventAge: 7_200_000, MaxFireDelay: 86_400_000}
}

// Counting are campaigns that have a fire that needs no state, one that needs a timer, and some that count over all rounds: an event that
// is judged twice, or not at all, makes them fire for another anchor.
func Counting() []*campaign.Campaign {
	var all []*campaign.Campaign
	for _, text := range []string{
		`{id: bought, trigger: {type: single_action, did: buy}, webhook: {endpoint: shop}}`,
		`{id: cart, trigger: {type: inaction_within_time, did: add, did_not: buy, within: 1s}, webhook: {endpoint: shop}}`,
		`{id: second, trigger: {type: single_action, did: {event: buy, count: 2}}, webhook: {endpoint: shop}}`,
		`{id: third, trigger: {type: single_action, did: {event: buy, count: 3}}, webhook: {endpoint: shop}}`,
	} {
		c, problems := campaign.Parse("campaign.yaml", []byte(text))
		if campaign.Failed(problems) {
			panic(fmt.Sprint(problems)) // text of ours
		}
		all = append(all, c)
	}
	return all
}
