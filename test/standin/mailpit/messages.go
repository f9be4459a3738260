// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package mailpit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/mail"
	"slices"
	"time"
)

const (
	// pollInterval is how often the server is asked while something is awaited.
	pollInterval = 25 * time.Millisecond
	// startTimeout bounds the start of the server.
	startTimeout = 30 * time.Second
	// maxAnswer bounds what is read of one answer, in bytes.
	maxAnswer = 16 << 20
)

// Message is a message as the server has it.
type Message struct {
	// MessageID is without angle brackets.
	MessageID string
	// From and To are addresses without names. To are those of the header.
	From, FromName string
	To             []string
	// Subject and Text are decoded.
	Subject, Text string
	Date          time.Time
	// Header is as it was sent.
	Header mail.Header
	// Raw is the whole message as it was sent, with what the server added at its head.
	Raw []byte
}

// Messages are all messages that were delivered, oldest first.
func (s *Server) Messages(ctx context.Context) ([]Message, error) {
	var list struct {
		Messages []struct{ ID string }
	}
	if err := s.get(ctx, "/api/v1/messages?limit=1000", &list); err != nil {
		return nil, err
	}
	slices.Reverse(list.Messages)
	var out []Message
	for _, entry := range list.Messages {
		message, err := s.message(ctx, entry.ID)
		if err != nil {
			return nil, err
		}
		out = append(out, message)
	}
	return out, nil
}

func (s *Server) message(ctx context.Context, id string) (Message, error) {
	var have struct {
		MessageID     string
		From          mail.Address
		To            []mail.Address
		Subject, Text string
		Date          time.Time
	}
	if err := s.get(ctx, "/api/v1/message/"+id, &have); err != nil {
		return Message{}, err
	}
	raw, err := s.ask(ctx, http.MethodGet, "/api/v1/message/"+id+"/raw", nil)
	if err != nil {
		return Message{}, err
	}
	parsed, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		return Message{}, fmt.Errorf("read message %s: %w", id, err)
	}
	message := Message{
		MessageID: have.MessageID, From: have.From.Address, FromName: have.From.Name, Subject: have.Subject, Text: have.Text,
		Date: have.Date, Header: parsed.Header, Raw: raw,
	}
	for _, to := range have.To {
		message.To = append(message.To, to.Address)
	}
	return message, nil
}

// Await returns the first message that holds, waiting until there is one or ctx ends.
func (s *Server) Await(ctx context.Context, holds func(Message) bool) (Message, error) {
	var found Message
	err := s.poll(ctx, func() (bool, error) {
		messages, err := s.Messages(ctx)
		if i := slices.IndexFunc(messages, holds); err == nil && i >= 0 {
			found = messages[i]
			return true, nil
		}
		return false, err
	})
	return found, err
}

// Fault makes the server refuse, with a code from 400 to 599, each command of a kind; a code of 0 ends it.
type Fault struct{ Sender, Recipient, Authentication int }

// Inject replaces the faults.
func (s *Server) Inject(ctx context.Context, fault Fault) error {
	type trigger struct{ ErrorCode, Probability int }
	of := func(code int) trigger {
		if code == 0 {
			return trigger{ErrorCode: 451}
		}
		return trigger{code, 100}
	}
	body, err := json.Marshal(map[string]trigger{
		"Sender": of(fault.Sender), "Recipient": of(fault.Recipient), "Authentication": of(fault.Authentication),
	})
	if err != nil {
		return err
	}
	_, err = s.ask(ctx, http.MethodPut, "/api/v1/chaos", body)
	return err
}

func (s *Server) awaitReady() error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	return s.poll(ctx, func() (bool, error) {
		_, err := s.ask(ctx, http.MethodGet, "/readyz", nil)
		return err == nil, nil
	})
}

// poll asks until it is so, the server has ended or ctx ends.
func (s *Server) poll(ctx context.Context, so func() (bool, error)) error {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		if ok, err := so(); ok || err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-s.done:
			return errors.New("the mail server has ended")
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (s *Server) get(ctx context.Context, path string, into any) error {
	raw, err := s.ask(ctx, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("read the mail server's answer to %s: %w", path, err)
	}
	return nil
}

func (s *Server) ask(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, s.api+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, fmt.Errorf("ask the mail server: %w", err)
	}
	defer response.Body.Close() //nolint:errcheck // all of it was read
	raw, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("ask the mail server: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("ask the mail server for %s: %s: %s", path, response.Status, raw)
	}
	return raw, nil
}
