//go:build !amd64

package monitor

func oldWait(int) bool { return false }
