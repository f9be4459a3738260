// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package dir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"
)

// stage writes data to a new temporary file, syncs it, and makes the folder that key needs. After an error of sync the
// file is not used: what a later sync says of it would be worth nothing.
func (b *Bucket) stage(key string, data []byte) (tmp string, err error) {
	if err := b.folder(path.Dir(key)); err != nil {
		return "", err
	}
	if err := b.folder(tmpName); err != nil {
		return "", err
	}
	file, err := b.temporary()
	if err != nil {
		return "", err
	}
	tmp = path.Join(tmpName, path.Base(file.Name()))
	_, err = file.Write(data)
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return "", errors.Join(err, b.root.Remove(tmp))
	}
	return tmp, nil
}

// temporary opens a file under a name that no other writer uses: processes differ in their id, or, where two containers
// count alike, in who was first.
func (b *Bucket) temporary() (*os.File, error) {
	for {
		name := fmt.Sprintf("%s/%d-%d", tmpName, os.Getpid(), b.next.Add(1))
		file, err := b.root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o640)
		if !errors.Is(err, fs.ErrExist) {
			return file, err
		}
	}
}

// folder makes a folder and what leads to it, durably.
func (b *Bucket) folder(name string) error {
	if name == "." {
		return nil
	}
	if _, err := b.root.Stat(name); err == nil {
		return nil
	}
	made := ""
	for part := range strings.SplitSeq(name, "/") {
		parent := made
		made = path.Join(made, part)
		if err := b.root.Mkdir(made, 0o750); errors.Is(err, fs.ErrExist) {
			continue
		} else if err != nil {
			return err
		}
		if err := b.sync(path.Join(".", parent)); err != nil {
			return err
		}
	}
	return nil
}

// sync makes the names in a folder durable.
func (b *Bucket) sync(name string) error {
	folder, err := b.root.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

// poll is how long a writer waits before it asks again for a lock that another process holds for a write.
const poll = time.Millisecond

// lock waits for the right to compare and write, which one writer of all processes has. The lock goes with the process
// that holds it, so a crash leaves none behind.
func (b *Bucket) lock(ctx context.Context) (unlock func(), err error) {
	select {
	case <-b.turn:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	file, err := b.root.OpenFile(lockName, os.O_CREATE|os.O_RDWR, 0o640)
	if err != nil {
		b.turn <- struct{}{}
		return nil, err
	}
	unlock = func() {
		_ = file.Close() // closing gives the lock back
		b.turn <- struct{}{}
	}
	for {
		held, err := tryLock(file)
		if err != nil {
			unlock()
			return nil, fmt.Errorf("lock %s: %w", lockName, err)
		}
		if held {
			return unlock, nil
		}
		select {
		case <-time.After(poll):
		case <-ctx.Done():
			unlock()
			return nil, ctx.Err()
		}
	}
}
