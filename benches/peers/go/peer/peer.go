// Package peer is what the programs in Go share. It says the same as ../../common does in Rust, and prints the same.
package peer

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

type Work struct {
	Bootstrap, Mode, Codec               string
	Trusted                              string // the file, in PEM, with whom to trust; empty: plain text
	Topics                               []string
	Partitions, Size, LingerMs, Batch    int
	Buffer, Window, Threads, Tasks, Rate int
	Keyed, Headers                       bool
	Seconds                              float64
}

type Client interface {
	Settings() string
	// OneEach produces one record to each topic and returns when all are acknowledged.
	OneEach(w *Work)
	// Stream produces as fast as it goes until the deadline and tells how many, when all are acknowledged.
	Stream(w *Work, first uint64, until time.Time) uint64
	// Tasks runs goroutines that produce one record each, again and again; -1: not possible.
	Tasks(w *Work, until time.Time) int64
	// Send produces one record and calls back when it is acknowledged.
	Send(w *Work, record uint64, acknowledged func())
}

// Main does what the command line says with one client, and prints what was measured as one line of JSON.
func Main(connect func(*Work) Client) {
	w := parse()
	built := time.Now()
	c := connect(w)
	c.OneEach(w)
	result := map[string]any{"settings": c.Settings()}
	firstAck := time.Since(built)
	warmup := math.Min(w.Seconds/4, 1)
	switch w.Mode {
	case "first":
		result["first_ack_ms"] = firstAck.Seconds() * 1e3
	case "stream":
		streams(c, w, warmup)
		measure(result, func() uint64 { return streams(c, w, w.Seconds) })
	case "tasks":
		if c.Tasks(w, after(warmup)) < 0 {
			result["unsupported"] = true
			break
		}
		measure(result, func() uint64 { return uint64(c.Tasks(w, after(w.Seconds))) })
	case "rate":
		rate(c, w, warmup, map[string]any{})
		measure(result, func() uint64 { return rate(c, w, w.Seconds, result) })
	case "idle":
		streams(c, w, warmup)
		time.Sleep(500 * time.Millisecond)
		fmt.Println("idle")
		time.Sleep(time.Duration(w.Seconds * 1e9))
	default:
		result["unsupported"] = true
	}
	result["rss_mib"] = peakRss()
	line, _ := json.Marshal(result)
	fmt.Println(string(line))
	os.Exit(0)
}

func after(seconds float64) time.Time { return time.Now().Add(time.Duration(seconds * 1e9)) }

func streams(c Client, w *Work, seconds float64) uint64 {
	until := after(seconds)
	var total atomic.Uint64
	var threads sync.WaitGroup
	for thread := range w.Threads {
		threads.Go(func() { total.Add(c.Stream(w, uint64(thread)*1_000_003, until)) })
	}
	threads.Wait()
	return total.Load()
}

func measure(result map[string]any, work func() uint64) {
	cpu, started := cpuTime(), time.Now()
	records := work()
	result["seconds"] = time.Since(started).Seconds()
	result["cpu"] = cpuTime() - cpu
	result["records"] = records
}

// rate produces records when they are due and measures from then on, whatever became of earlier ones.
func rate(c Client, w *Work, seconds float64, result map[string]any) uint64 {
	count := uint64(float64(w.Rate) * seconds)
	latency, late := make([]int64, count), make([]int64, count)
	var open sync.WaitGroup
	open.Add(int(count))
	start := time.Now()
	for record := range count {
		due := start.Add(time.Duration(record * 1_000_000_000 / uint64(w.Rate)))
		now := time.Now()
		for now.Before(due) {
			// time.Sleep is the runtime's and coarse; this is the system's, as the other programs use it.
			left := syscall.NsecToTimespec(int64(due.Sub(now)))
			_ = syscall.Nanosleep(&left, nil)
			now = time.Now()
		}
		late[record] = now.Sub(due).Microseconds()
		c.Send(w, record, func() {
			latency[record] = time.Since(due).Microseconds()
			open.Done()
		})
	}
	open.Wait()
	slices.Sort(latency)
	slices.Sort(late)
	at := func(values []int64, q float64) int64 { return values[int(float64(len(values)-1)*q)] }
	result["p50"], result["p99"], result["p999"] = at(latency, 0.5), at(latency, 0.99), at(latency, 0.999)
	result["late50"], result["late99"] = at(late, 0.5), at(late, 0.99)
	return count
}

// More says whether a record, counted from zero, is to be produced; the clock is asked once in 64 small ones.
func (w *Work) More(record uint64, until time.Time) bool {
	return (w.Size < 4096 && record%64 != 0) || time.Now().Before(until)
}

func (w *Work) Topic(record uint64) string { return w.Topics[record%uint64(len(w.Topics))] }

func Fail(why any) {
	fmt.Fprintln(os.Stderr, why)
	os.Exit(1)
}

// TLS is nil for plain text.
func (w *Work) TLS() *tls.Config {
	if w.Trusted == "" {
		return nil
	}
	pem, err := os.ReadFile(w.Trusted)
	if err != nil {
		Fail(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		Fail("no certificate in " + w.Trusted)
	}
	return &tls.Config{RootCAs: roots}
}

// AboutTLS ends a client's settings.
func (w *Work) AboutTLS() string {
	if w.Trusted == "" {
		return ""
	}
	return " tls=crypto/tls of " + runtime.Version()
}

// Payload: windows of one text, as ../../common makes it.
type Payload struct {
	text         []byte
	size, starts int
}

func NewPayload(w *Work) *Payload {
	state := uint64(0x9E3779B97F4A7C15)
	below := func(limit uint64) uint64 {
		state = state*6_364_136_223_846_793_005 + 1_442_695_040_888_963_407
		return (state >> 33) % limit
	}
	words := make([][]byte, 512)
	for i := range words {
		words[i] = make([]byte, 3+below(8))
		for j := range words[i] {
			words[i][j] = 'a' + byte(below(26))
		}
	}
	starts := 64 * 1024
	if w.Codec != "none" {
		starts = 4 * 1024 * 1024
	}
	length := starts + w.Size
	text := make([]byte, 0, length+32)
	for len(text) < length {
		if below(4) == 0 {
			text = strconv.AppendUint(text, below(1_000_000), 10)
		} else {
			text = append(text, words[below(512)]...)
		}
		text = append(text, ' ')
	}
	return &Payload{text[:length], w.Size, starts}
}

func (p *Payload) Of(record uint64) []byte {
	start := record * 40_503 % uint64(p.starts)
	return p.text[start : start+uint64(p.size)]
}

func Key(record uint64) []byte {
	return binary.BigEndian.AppendUint64(nil, record*0x9E3779B97F4A7C15)
}

type Header struct {
	Key   string
	Value []byte
}

var Headers = []Header{
	{"trace-id", []byte("4bf92f3577b34da6a3ce929d0e0e4736")}, {"content-type", []byte("application/json")}, {"origin", []byte("eu-1")},
}

func cpuTime() float64 {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return float64(usage.Utime.Nano()+usage.Stime.Nano()) / 1e9
}

func peakRss() float64 {
	status, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(status)) {
		if rest, found := strings.CutPrefix(line, "VmHWM:"); found {
			kib, _ := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return kib / 1024
		}
	}
	return 0
}

func parse() *Work {
	given := map[string]string{}
	for _, arg := range os.Args[1:] {
		name, value, found := strings.Cut(arg, "=")
		if !found {
			Fail("not name=value: " + arg)
		}
		given[name] = value
	}
	text := func(name, otherwise string) string {
		value, found := given[name]
		delete(given, name)
		if !found {
			return otherwise
		}
		return value
	}
	number := func(name string, otherwise int) int {
		value, err := strconv.Atoi(text(name, strconv.Itoa(otherwise)))
		if err != nil {
			Fail(err)
		}
		return value
	}
	w := &Work{
		Bootstrap: text("bootstrap", "127.0.0.1:9092"), Mode: text("mode", "stream"), Codec: text("codec", "none"),
		Partitions: number("partitions", 6), Size: number("size", 100), LingerMs: number("linger_ms", 5),
		Batch: number("batch", 16*1024), Buffer: number("buffer", 32<<20), Window: number("window", 65_536),
		Threads: number("threads", 1), Tasks: number("tasks", 1000), Rate: number("rate", 10_000),
		Keyed: number("keyed", 0) != 0, Headers: number("headers", 0) != 0,
	}
	topic := text("topic", "bench")
	w.Topics = []string{topic}
	if count := number("topics", 1); count > 1 {
		w.Topics = make([]string, count)
		for i := range w.Topics {
			w.Topics[i] = fmt.Sprintf("%s-%d", topic, i)
		}
	}
	seconds, err := strconv.ParseFloat(text("seconds", "2"), 64)
	if err != nil {
		Fail(err)
	}
	w.Seconds = seconds
	w.Trusted = text("tls", "")
	for name := range given {
		Fail("no such setting: " + name)
	}
	return w
}
