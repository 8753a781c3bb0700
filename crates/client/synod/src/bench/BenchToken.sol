// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.20;

import "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// The token of `synod bench erc20`: OpenZeppelin's ERC-20, its whole supply with the deployer.
contract BenchToken is ERC20 {
    constructor() ERC20("Synod bench token", "BENCH") {
        _mint(msg.sender, 1e30);
    }

    /// Gives each of `accounts` the same amount, so that a thousand senders are funded in a few transactions.
    function fund(address[] calldata accounts, uint256 amount) external {
        for (uint256 i = 0; i < accounts.length; i++) {
            _transfer(msg.sender, accounts[i], amount);
        }
    }
}
