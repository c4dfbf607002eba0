package isolation

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const answerTime = 10 * time.Millisecond

// note is the body of a delivery: what the receiver needs to know of it.
type note struct {
	Phase    int   `json:"phase"`
	Endpoint int   `json:"endpoint"`
	At       int64 `json:"at"` // ns
	Number   int   `json:"number"`
}

// receiver is all endpoints: each has an address of its own in 127/8.
type receiver struct {
	port   int
	server *http.Server
	phases []phase
	alive  bool         // all endpoints, always: the control
	now    atomic.Int32 // the phase

	mu     sync.Mutex // guards what follows
	seen   map[int]bool
	delays [][]time.Duration // by phase: of healthy endpoints, first requests only
	rising map[int64]int     // requests by second, of those that have just come back
	lost   int
}

func newReceiver(ctx context.Context, all []phase, alive bool) (*receiver, error) {
	l, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		return nil, err
	}
	r := &receiver{
		port: l.Addr().(*net.TCPAddr).Port, phases: all, alive: alive, seen: map[int]bool{}, delays: make([][]time.Duration, len(all)), rising: map[int64]int{},
	}
	r.server = &http.Server{Handler: r}
	context.AfterFunc(ctx, func() { _ = r.server.Close() })
	go func() { _ = r.server.Serve(l) }() // ends with ctx
	return r, nil
}

// address is where endpoint i listens.
func address(i, port int) string {
	return fmt.Sprintf("http://127.1.%d.%d:%d/hooks", i/250, i%250+1, port)
}

// endpointOf reads the number back from an address.
func endpointOf(host string) int {
	host, _, _ = strings.Cut(host, ":")
	parts := strings.Split(host, ".")
	if len(parts) != 4 {
		return -1
	}
	high, _ := strconv.Atoi(parts[2])
	low, _ := strconv.Atoi(parts[3])
	return high*250 + low - 1
}

// ServeHTTP implements http.Handler. A dead endpoint takes the request and says nothing until the sender goes away.
func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	at := time.Now()
	body, err := io.ReadAll(req.Body)
	var n note
	if err != nil || json.Unmarshal(body, &n) != nil {
		return
	}
	i, p := endpointOf(req.Host), r.phases[r.now.Load()]
	if i >= count-p.dead && !r.alive {
		r.mu.Lock()
		r.lost++
		r.mu.Unlock()
		<-req.Context().Done()
		return
	}
	r.note(i, n, at, p)
	time.Sleep(answerTime)
	w.WriteHeader(http.StatusNoContent)
}

func (r *receiver) note(i int, n note, at time.Time, p phase) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if i >= count-p.rising {
		r.rising[at.Unix()]++
	}
	if r.seen[n.Number] {
		return
	}
	r.seen[n.Number] = true
	if healthy(r.phases[n.Phase], i) {
		r.delays[n.Phase] = append(r.delays[n.Phase], at.Sub(time.Unix(0, n.At)))
	}
}

// healthy tells which endpoints a phase is about.
func healthy(p phase, i int) bool {
	return i < count-max(p.dead, p.rising) && (p.hotRate == 0 || i != hot)
}

// begin begins a phase.
func (r *receiver) begin(i int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rising, r.lost = map[int64]int{}, 0
	r.now.Store(int32(i))
}

// end tells what a phase came to: what is not there by now was late.
func (r *receiver) end(i int) result {
	r.mu.Lock()
	defer r.mu.Unlock()
	p, delays := r.phases[i], slices.Sorted(slices.Values(r.delays[i]))
	res := result{got: len(delays), sent: sentHealthy(p), lost: r.lost, surge: r.surge(p)}
	if len(delays) > 0 {
		res.p50, res.p99 = delays[len(delays)/2], delays[len(delays)*99/100]
	}
	return res
}

func (r *receiver) surge(p phase) float64 {
	if p.rising == 0 {
		return 0
	}
	worst := 0
	for second := range r.rising {
		sum := 0
		for s := second; s < second+surgeWindow; s++ {
			sum += r.rising[s]
		}
		worst = max(worst, sum)
	}
	return float64(worst) / (surgeWindow * float64(p.rate) * float64(p.rising) / count)
}
