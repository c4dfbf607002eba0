// Package replay runs the engine beside the live one: over a file, or over the past of a topic. It stands off the main
// flow, sends no webhook, and holds no rule: every decision is the trigger room's.
package replay
