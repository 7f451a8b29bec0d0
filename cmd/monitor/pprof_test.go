package main

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

func TestProfilesOnlyForThisMachine(t *testing.T) {
	for _, addr := range []string{"", "6060", ":6060", "0.0.0.0:6060", "[::]:6060", "192.0.2.1:6060", "localhost:6060", "127.0.0.1"} {
		err := profiles(t.Context(), addr)
		if !errors.As(err, new(usageError)) || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), "loopback") {
			t.Errorf("%q: %v", addr, err)
		}
	}
}

func TestProfiles(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	if err := profiles(t.Context(), addr); err == nil {
		t.Error("an address in use is taken")
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := profiles(t.Context(), addr); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path   string
		status int
		begins string
	}{
		{"/debug/pprof/heap", 200, "\x1f\x8b"},
		{"/debug/pprof/profile?seconds=1", 200, "\x1f\x8b"},
		{"/debug/pprof/goroutine?debug=1", 200, "goroutine profile"},
		{"/debug/pprof/", 200, "<html>"},
		{"/debug/pprof/nothing", 404, "Unknown profile"},
		{"/", 404, "404"},
	} {
		r, err := http.Get("http://" + addr + c.path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(r.Body)
		if err = errors.Join(err, r.Body.Close()); err != nil {
			t.Fatal(err)
		}
		if r.StatusCode != c.status || !bytes.HasPrefix(body, []byte(c.begins)) {
			t.Errorf("%s: %s, %.40q", c.path, r.Status, body)
		}
	}
}
