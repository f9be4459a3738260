// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// alert FILE: a tool sends a payload, and it is kept.
func alert(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: alert FILE")
	}
	post(ts, false, []string{args[0], "202"})
}

// post [-again] [-to SOURCE] [-header 'NAME: VALUE']... FILE STATUS: send a payload to the gateway, with the tenant's token
// unless a header says otherwise, and print its answer. With -again come again as long as it says 503.
func post(ts *testscript.TestScript, neg bool, args []string) {
	usage := func() { ts.Fatalf("usage: post [-again] [-to SOURCE] [-header 'NAME: VALUE']... FILE STATUS") }
	source, header := "falco", http.Header{"Content-Type": {"application/json"}}
	again := len(args) > 0 && args[0] == "-again"
	if again {
		args = args[1:]
	}
	for ; len(args) > 2; args = args[2:] {
		switch args[0] {
		case "-to":
			source = args[1]
		case "-header":
			name, value, _ := strings.Cut(args[1], ":")
			header.Set(name, strings.TrimSpace(value))
		default:
			usage()
		}
	}
	if neg || len(args) != 2 {
		usage()
	}
	if _, given := header["Authorization"]; !given && source == "falco" {
		header.Set("Authorization", "Bearer "+ts.Getenv("TOKEN"))
	}
	url := stage.operator.url() + "/v1/" + of(ts).namespace + "/" + source
	var status int
	var body []byte
	ts.Check(eventually("the gateway to take "+args[0], func() (bool, string) {
		status, body = send(ts, url, header, expanded(ts, args[0]))
		return !again || status != http.StatusServiceUnavailable, string(body)
	}))
	printf(ts, "%d %s\n%s", status, http.StatusText(status), body)
	if strconv.Itoa(status) != args[1] {
		ts.Fatalf("the gateway answered %d, not %s: %s", status, args[1], body)
	}
}

func send(ts *testscript.TestScript, url string, header http.Header, payload []byte) (status int, body []byte) {
	request, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(payload))
	ts.Check(err)
	request.Header = header
	answer, err := http.DefaultClient.Do(request)
	ts.Check(err)
	defer answer.Body.Close() //nolint:errcheck // read only
	body, err = io.ReadAll(io.LimitReader(answer.Body, 4<<10))
	ts.Check(err)
	return answer.StatusCode, body
}

// sign KEY FILE [AGO]: sign a payload with a key and the time it is sent: $SENT and $SIGNATURE.
func sign(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || len(args) > 3 {
		ts.Fatalf("usage: sign KEY FILE [AGO]")
	}
	sent := time.Now()
	if len(args) == 3 {
		ago, err := time.ParseDuration(args[2])
		ts.Check(err)
		sent = sent.Add(-ago)
	}
	stamp := strconv.FormatInt(sent.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(args[0]))
	_, _ = mac.Write(append([]byte(stamp+"."), expanded(ts, args[1])...)) // a hash never errs
	ts.Setenv("SENT", stamp)
	ts.Setenv("SIGNATURE", hex.EncodeToString(mac.Sum(nil)))
}
