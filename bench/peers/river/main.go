// A River client with one kind of job that does nothing. `install` only runs its migrations; `work`
// talks with the runner as talk.mjs does.
package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"log"
	"log/slog"
	"os"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
)

const queue = "bench"

// Payload is what the senders send: when, for latencies; or which message is to be held, for rescue.
type Payload struct {
	T    int64 `json:"t"`
	Hold int64 `json:"hold"`
}

// Kind is how River names the job.
func (Payload) Kind() string { return queue }

type worker struct {
	river.WorkerDefaults[Payload]
	handled   atomic.Int64
	latencies *os.File
	starts    *os.File
}

func (w *worker) Work(ctx context.Context, job *river.Job[Payload]) error {
	w.handled.Add(1)
	if w.latencies != nil && job.Args.T != 0 {
		write(w.latencies, monotonic()-job.Args.T)
	}
	if w.starts != nil && job.Args.Hold != 0 {
		first := hold(fmt.Sprintf("%s.%d", w.starts.Name(), job.Args.Hold))
		write(w.starts, monotonic())
		if first {
			select {}
		}
	}
	return nil
}

// hold says whether this is the first run of a message; the file then has the process that runs it.
func hold(name string) bool {
	file, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
	if err != nil {
		return false
	}
	defer file.Close()
	fmt.Fprint(file, os.Getpid())
	return true
}

// monotonic is the clock that the senders stamp with, which package time does not show.
func monotonic() int64 {
	var now syscall.Timespec
	const clockMonotonic = 1
	syscall.Syscall(syscall.SYS_CLOCK_GETTIME, clockMonotonic, uintptr(unsafe.Pointer(&now)), 0)
	return now.Nano()
}

func write(file *os.File, value int64) {
	var bytes [8]byte
	binary.LittleEndian.PutUint64(bytes[:], uint64(value))
	if _, err := file.Write(bytes[:]); err != nil {
		log.Fatal(err)
	}
}

func appendTo(variable string) *os.File {
	name := os.Getenv(variable)
	if name == "" {
		return nil
	}
	file, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o666)
	check(err)
	return file
}

func number(variable string) int {
	value, err := strconv.Atoi(os.Getenv(variable))
	check(err)
	return value
}

func milliseconds(variable string) time.Duration {
	return time.Duration(number(variable)) * time.Millisecond
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func install(ctx context.Context, pool *pgxpool.Pool) {
	migrator, err := rivermigrate.New(riverpgxv5.New(pool), nil)
	check(err)
	_, err = migrator.Migrate(ctx, rivermigrate.DirectionUp, nil)
	check(err)
}

func work(ctx context.Context, pool *pgxpool.Pool) {
	handler := &worker{latencies: appendTo("BENCH_LATENCIES"), starts: appendTo("BENCH_STARTS")}
	workers := river.NewWorkers()
	river.AddWorker(workers, handler)
	config := &river.Config{
		FetchCooldown:     milliseconds("BENCH_COOLDOWN_MS"),
		FetchPollInterval: milliseconds("BENCH_POLL_MS"),
		Logger:            slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})),
		Queues:            map[string]river.QueueConfig{queue: {MaxWorkers: number("BENCH_CONCURRENCY")}},
		Workers:           workers,
	}
	if after := milliseconds("BENCH_RESCUE_MS"); after > 0 {
		config.JobTimeout = after
		config.RescueStuckJobsAfter = after
	}
	var client *river.Client[pgx.Tx]
	client, err := river.NewClient(riverpgxv5.New(pool), config)
	check(err)
	check(client.Start(ctx))
	fmt.Println("ready")
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		fmt.Println(handler.handled.Load())
	}
	check(client.StopAndCancel(ctx))
}

func main() {
	ctx := context.Background()
	pool, err := pgxpool.New(ctx, "") // what libpq's environment variables say
	check(err)
	defer pool.Close()
	if len(os.Args) > 1 && os.Args[1] == "install" {
		install(ctx, pool)
	} else {
		work(ctx, pool)
	}
}
