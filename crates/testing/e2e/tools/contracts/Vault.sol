// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// Keeps one word, so that a test can search for it where it must not be.
contract Vault {
    bytes32 public word;

    function keep(bytes32 newWord) external {
        word = newWord;
    }
}
